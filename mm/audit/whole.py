"""The audit of a system as a whole: of each partition, and of what they share.

It does not stop the world, and needs not: all counters of the escrow only grow. The partitions are
read first, then the treasury, then the partitions once more. What a partition had accepted before
is no more than what the treasury has granted by then. What the treasury has received is no more
than what the partition has returned afterwards. And the treasury itself is read in one instant. So
what is leased at the instant of the treasury is at most what it has granted and not received, which
is at most the limit. Each partition keeps its own invariants at an instant of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mm.audit.invariants import Audit, audit_part
from mm.audit.tally import KEEP, Check, Tally, integer_or_none
from mm.errors import SystemRefused
from mm.store import Raw, Scripts, hash_of, partitions_of, read_raw

#: Fields of the configuration that each partition has for itself.
_OWN = ("symbols", "partition", "config_version", "created_ms")
BOUNDED = "exposure-bounded"


def audit(scripts: Scripts, quiescent: bool = False, since_ms: int | None = None) -> Audit:
    """Check every invariant; with ``quiescent`` also that nothing waits to be processed.

    With ``since_ms`` fills are read from about that instant on, and positions as they stood then
    are taken for granted.

    A system with partitions is judged partition by partition, and as a whole. SystemRefused when
    the keys hold no system. Damage is a violation: keys that are missing or of a wrong type, and
    texts that must be numbers and are not. Errors of the connection are raised.
    """
    try:
        root = read_raw(scripts)
    except SystemRefused:
        root = None
    if root is None or not root.partitioned:
        return audit_part(scripts, quiescent, since_ms)
    every = partitions_of(scripts)
    raws = [read_raw(one) for one in every]
    parts = [audit_part(one, quiescent, since_ms) for one in every]
    tally = Tally(BOUNDED)
    _check_escrow(scripts, every, raws, tally)
    _check_agreement(scripts, root, every, raws, tally)
    checks = [
        _together([part.checks[index] for part in parts], every)
        for index in range(len(parts[0].checks))
    ]
    checks = [_with(one, tally.verdict()) if one.name == BOUNDED else one for one in checks]
    created_ms = integer_or_none(root.config, "created_ms") or 0
    return Audit(root.now_ms, tuple(checks), root.config.get("system_id", ""), created_ms)


def _check_escrow(
    scripts: Scripts, every: Sequence[Scripts], raws: Sequence[Raw], tally: Tally
) -> None:
    key = scripts.keys.named("treasury")
    treasury = hash_of(scripts.client, key)
    limit = integer_or_none(read_raw(scripts).config, "limit_units") or 0
    outstanding = 0
    for number, raw in enumerate(raws):
        numbers = tally.integers(key, treasury, f"granted:{number}", f"received:{number}")
        accepted = integer_or_none(raw.lease, "accepted")
        one = scripts.keys.partition(number)
        lease = hash_of(every[number].client, one.named("lease"))
        returned = integer_or_none(lease, "returned")
        tally.count("leases")
        if numbers is None or accepted is None or returned is None:
            continue
        granted, received = numbers
        outstanding += granted - received
        tally.expect(
            accepted <= granted, f"{one.prefix} has accepted {accepted} units of {granted} granted"
        )
        tally.expect(
            received <= returned,
            f"{key} received:{number} {received}: {one.prefix} has returned {returned}",
        )
    over = integer_or_none(treasury, "over_units") or 0
    tally.optional_integers(key, treasury, "over_units", "seq")
    tally.expect(
        0 <= outstanding <= max(limit, over),
        f"{key}: {outstanding} units are granted and not back, of a limit of {limit}",
    )
    if outstanding > limit:
        tally.note(f"{outstanding} units are leased until they are returned, of a limit of {limit}")


def _check_agreement(
    scripts: Scripts, root: Raw, every: Sequence[Scripts], raws: Sequence[Raw], tally: Tally
) -> None:
    """Each symbol is in one partition, where its route leads, and all configurations agree."""
    routes = hash_of(scripts.client, scripts.keys.named("routes"))
    homes: dict[str, str] = {}
    for number, (one, raw) in enumerate(zip(every, raws, strict=True)):
        for name in raw.config.get("symbols", "").split():
            tally.count("routes")
            tally.expect(name not in homes, f"{name} is in {homes.get(name)} and {one.keys.prefix}")
            homes[name] = one.keys.prefix
        key = one.keys.named("config")
        tally.expect(
            raw.config.get("partition") == str(number), f"{key} partition: it must be {number}"
        )
        for field, value in _shared(root.config).items():
            stored = raw.config.get(field)
            tally.expect(stored == value, f"{key} {field} {stored!r}: the system has {value!r}")
    tally.expect(
        routes == homes,
        f"{scripts.keys.named('routes')}: it must lead each symbol to the partition that has it",
    )


def _shared(config: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in config.items() if name not in _OWN}


def _together(checks: Sequence[Check], every: Sequence[Scripts]) -> Check:
    """One check of all partitions; what is said of one begins with its key prefix."""
    checked: dict[str, int] = {}
    for check in checks:
        for kind, number in check.checked.items():
            checked[kind] = checked.get(kind, 0) + number
    said = list(zip((one.keys.prefix for one in every), checks, strict=True))
    violations = [f"{prefix} {text}" for prefix, check in said for text in check.violations]
    notes = dict.fromkeys(text for _, check in said for text in check.notes)
    return Check(
        checks[0].name,
        all(check.ok for check in checks),
        checked,
        tuple(violations[:KEEP]),
        sum(check.total for check in checks),
        tuple(notes)[:KEEP],
    )


def _with(check: Check, other: Check) -> Check:
    return replace(
        check,
        ok=check.ok and other.ok,
        checked=check.checked | other.checked,
        violations=(*other.violations, *check.violations)[:KEEP],
        total=check.total + other.total,
        notes=(*other.notes, *check.notes)[:KEEP],
    )
