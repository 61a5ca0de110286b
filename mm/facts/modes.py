"""What a change of trading modes has done, in plain sentences."""

from __future__ import annotations

from dataclasses import asdict

from mm.store import Controlled, ModeChange

#: Mode -> what it means.
_MEANING = {
    "active": "quoted and traded",
    "reducing": "quoted only to shrink the position",
    "flattening": "quoted only to shrink the position, and halted when it is flat",
    "halted": "neither quoted nor traded",
}


def change_text(change: ModeChange) -> str:
    """What became of one symbol, or of all: the change, and then what holds."""
    name = "all symbols" if change.symbol == "*" else change.symbol
    changed = change.before != change.after
    what = f"{change.before} -> {change.after}" if changed else f"{change.after} already"
    if change.thawed:
        what += f", its freeze is ended ({change.thawed})"
    if change.ended:
        what += f", its halt after an integrity error is ended ({change.ended})"
    if change.halted:
        holds = f"{_MEANING['halted']}: an integrity error has halted it, which only"
        return f"{name}: {what}; {holds} --after-repair ends ({change.halted})"
    if change.holds != change.after:
        holds = f"{change.holds}, {_MEANING[change.holds]}"
        return f"{name}: {what}; the mode of all symbols holds: {holds}"
    if change.symbol == "*" and change.after != "halted":
        return f"{name}: {what}, {_MEANING[change.after]} unless a symbol has a mode of its own"
    return f"{name}: {what}, {_MEANING[change.after]}"


def controlled_facts(done: Controlled) -> dict[str, object]:
    """What a control step did, for ``--json``."""
    return {
        "changes": [asdict(change) for change in done.changes],
        "quotes_withdrawn": done.quote_ids,
        "missed": list(done.missed),
    }


def control_lines(done: Controlled) -> list[str]:
    """What a control step did, a sentence a line: changes, quotes, partitions."""
    lines = [change_text(change) for change in done.changes]
    if done.quote_ids:
        quotes = "quote" if len(done.quote_ids) == 1 else "quotes"
        lines.append(f"{len(done.quote_ids)} {quotes} withdrawn, exposure released")
    if done.reached:
        lines.append(f"done in {' '.join(done.reached)}")
    if done.missed:
        lines.append(f"not everywhere: {'; '.join(done.missed)}. Do it again")
    return lines
