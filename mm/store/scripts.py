"""One thin typed method for each Lua script.

Nothing is decided here: the rules of a transition are in ``mm/lua/<method>.lua`` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.exceptions import ResponseError

from mm.errors import ProposalRefused
from mm.market import (
    LIVE_MS,
    REFUSALS,
    Config,
    Placement,
    Proposal,
    SymbolChange,
    symbol_fields,
)
from mm.store.archiving import ArchiveScripts
from mm.store.beat import Beat
from mm.store.calls import pairs, send_pipeline, text
from mm.store.control import Controlled, ModeChange, Operator, config_words
from mm.store.refusals import control_refusal, membership_refusal, setup_refusal
from mm.store.replies import (
    Collected,
    Committed,
    Configured,
    Expired,
    Matched,
    Survey,
    Withdrawn,
    surveyed,
)

#: The most position updates that one survey reads, apart from an entry that has more.
SURVEY_UPDATES = 500


class Scripts(ArchiveScripts):
    """One method for each script. ``client`` and ``keys`` are as for :class:`ScriptCalls`."""

    def setup(self, config: Config, system_id: str, partition: int | None = None) -> str:
        """Create the system's keys, or check that they hold this configuration.

        ``system_id`` is for a system that has none yet: a new one, or one of the old schema.
        ``partition`` is the number of a partition, whose keys these are. Returns ``created``,
        ``matched`` or ``upgraded``. Raises ConfigDiffers and ForeignKeys, and SystemRefused for a
        notional system of the old schema.
        """
        args: list[str] = [system_id]
        stored = config.store_fields()
        if partition is not None:
            stored["partition"] = str(partition)
        args += [str(len(stored)), *(word for item in stored.items() for word in item)]
        for symbol in config.symbols:
            parameters = symbol_fields(config, symbol)
            args += [symbol.name, str(len(parameters))]
            args += [word for item in parameters.items() for word in item]
        try:
            return text(self.call("setup", *args))
        except ResponseError as error:
            raise setup_refusal(self.keys, error) from error

    def match(self, max_orders: int, reply: Any = None) -> Matched:
        """Match up to ``max_orders`` orders, or read the ``reply`` of a waiting call that did."""
        if reply is None:
            reply = self.call("match", max_orders)
        else:
            reply = self._done("match", reply, max_orders)
        done, orders, fills, duplicates, rejected, more, now, next_expiry = reply
        return Matched(text(done), orders, fills, duplicates, rejected, more == 1, now, next_expiry)

    def collect(self, max_orders: int, reply: Any = None) -> Collected:
        """Take up to ``max_orders`` orders from inboxes, or read the reply of a waiting call."""
        if reply is None:
            reply = self.call("collect", max_orders)
        else:
            reply = self._done("collect", reply, max_orders)
        orders, refused, more = reply
        return Collected(orders, refused, more == 1)

    def collect_and_match(self, max_orders: int) -> tuple[Collected, Matched]:
        """Both steps in one round trip."""
        taken, matched = self.call_each([("collect", [max_orders]), ("match", [max_orders])])
        return self.collect(max_orders, taken), self.match(max_orders, matched)

    def commit(self, max_fills: int, reply: Any = None) -> Committed:
        """Apply up to ``max_fills`` fills, or read the ``reply`` of a waiting call that did."""
        if reply is None:
            reply = self.call("commit", max_fills)
        else:
            reply = self._done("commit", reply, max_fills)
        done, fills, more, now, versions, halts = reply
        by_symbol = {symbol: int(version) for symbol, version in pairs(versions).items()}
        return Committed(text(done), fills, more == 1, now, by_symbol, pairs(halts))

    def place_many(self, proposals: Sequence[Proposal]) -> list[Placement | ProposalRefused]:
        """Place the proposals in their order, in one round trip; a refusal is a result."""
        results: list[Placement | ProposalRefused] = []
        for reply in self.call_many("place", [_place_args(one) for one in proposals]):
            if isinstance(reply, ResponseError):
                code, _, detail = str(reply).partition(" ")
                if code not in REFUSALS:
                    raise reply
                results.append(ProposalRefused(code, detail))
            elif isinstance(reply, Exception):
                raise reply
            else:
                outcome, quote_id, bid_lots, ask_lots, expires_ms = reply
                results.append(
                    Placement(
                        text(outcome),  # type: ignore[arg-type]  # the script writes only the three
                        text(quote_id),
                        bid_lots,
                        ask_lots,
                        expires_ms,
                    )
                )
        return results

    def place(self, proposal: Proposal) -> Placement:
        """Place one proposal; raises ProposalRefused."""
        result = self.place_many([proposal])[0]
        if isinstance(result, ProposalRefused):
            raise result
        return result

    def expire(self) -> Expired:
        """End the quotes that have expired: release their exposure and announce the expiry."""
        quote_ids, more, now, next_expiry = self.call("expire")
        return Expired([text(one) for one in quote_ids], more == 1, now, next_expiry)

    def withdraw(self, system_id: str, live_ms: int = LIVE_MS) -> Withdrawn:
        """End the quotes that no maker is left to replace, and empty the queues for exposure.

        Nothing is done while a maker was heard within ``live_ms``. ForeignSystem when the keys do
        not hold the system of this id.
        """
        try:
            quote_ids, more, live = self.call("withdraw", system_id, live_ms)
        except ResponseError as error:
            raise membership_refusal(self.keys, system_id, error) from error
        return Withdrawn([text(one) for one in quote_ids], more == 1, [text(one) for one in live])

    def control(
        self,
        system_id: str,
        mode: str,
        by: Operator,
        why: str,
        symbols: Sequence[str],
        after_repair: bool = False,
    ) -> Controlled:
        """Set the mode of these symbols, or with none that of all; end what it does not allow.

        ``after_repair`` also ends their halts after an integrity error; the caller has audited
        them. ForeignSystem when the keys do not hold the system of this id, ValueRefused for an
        unknown symbol or mode, SystemRefused for a symbol that is not repaired.
        """
        words: list[str | int] = [by.who, by.role, why, int(after_repair), *symbols]
        try:
            reply = self.call("control", system_id, mode, *words)
        except ResponseError as error:
            raise control_refusal(self.keys, system_id, error) from error
        changes, quote_ids = reply
        return Controlled(
            [ModeChange(*map(text, one)) for one in changes], [text(one) for one in quote_ids]
        )

    def configure(
        self,
        system_id: str,
        version: int,
        by: Operator,
        why: str,
        changes: Sequence[SymbolChange],
    ) -> Configured:
        """Change the configuration; ``version`` is the one that the changes start from.

        ForeignSystem as for :meth:`control`; SystemRefused, and nothing is written, when the
        configuration has another version by now or a change is of a field that never changes.
        """
        words = [by.who, by.role, why, *config_words(changes)]
        try:
            reply = self.call("configure", system_id, version, *words)
        except ResponseError as error:
            raise control_refusal(self.keys, system_id, error) from error
        now_version, quote_ids = reply
        return Configured(int(now_version), [text(one) for one in quote_ids])

    def admit(self, system_id: str, by: Operator, why: str, clients: Sequence[str]) -> list[str]:
        """Give each of these clients an inbox; those that had none.

        ForeignSystem as for :meth:`control`, ValueRefused for a name that no client may have.
        """
        try:
            reply = self.call("admit", system_id, by.who, by.role, why, *clients)
        except ResponseError as error:
            raise control_refusal(self.keys, system_id, error) from error
        return [text(one) for one in reply]

    def clients(self) -> list[str]:
        """The clients that have an inbox."""
        return sorted(text(one) for one in self.client.hkeys(self.keys.named("clients")))

    def repair(
        self,
        system_id: str,
        symbol: str,
        by: Operator,
        why: str,
        found: Sequence[str],
        wanted: Sequence[str],
    ) -> bool:
        """Put ``wanted`` in place of what was ``found``; whether anything differed.

        Both are the texts of :data:`mm.store.REPAIRED_FIELDS`, empty for a missing one.
        ForeignSystem as for :meth:`control`; SystemRefused, and nothing is written, when the symbol
        is not halted or a field is no longer as it was found.
        """
        try:
            words = (by.who, by.role, why, *found, *wanted)
            return text(self.call("repair", system_id, symbol, *words)) == "repaired"
        except ResponseError as error:
            raise control_refusal(self.keys, system_id, error) from error

    def survey(self, symbols: Sequence[str]) -> Survey:
        """What a maker needs to know of these symbols, and which waiting symbols can be served."""
        return surveyed(self.call("survey", "-", SURVEY_UPDATES, *symbols))

    def survey_updated(self, cursor: str, wait_ms: int, symbols: Sequence[str]) -> Survey:
        """A survey of those symbols that position updates after ``cursor`` name.

        With no symbols it is one of all that they name. It waits up to ``wait_ms`` for an update.
        The blocking read and the script are sent together, and the server does not send what the
        read found, since the script reads it itself.
        """
        args: list[str | int] = [cursor, SURVEY_UPDATES, *symbols]
        if wait_ms <= 0:
            return surveyed(self.call("survey", *args))
        where = ("BLOCK", wait_ms, "STREAMS", self.keys.named("positions"), cursor)
        script = self._command("survey", args)
        silent = ("CLIENT", "REPLY", "SKIP")
        commands = [silent, ("XREAD", "COUNT", 1, *where), script]
        (reply,) = send_pipeline(self.client, commands, replies=1)
        return surveyed(self._done("survey", reply, *args))

    def heartbeat(self, beat: Beat, live_ms: int = LIVE_MS) -> tuple[int, list[str]]:
        """Record that a process lives.

        Returns the server's time in ms, and the names of the processes of its kind that were heard
        within ``live_ms``. ForeignSystem, and nothing is recorded, when the keys do not hold the
        system that the process has joined.
        """
        try:
            now, live = self.call("heartbeat", *beat.words(live_ms))
        except ResponseError as error:
            raise membership_refusal(self.keys, beat.system_id, error) from error
        return now, [text(one) for one in live]

    def farewell(self, beat: Beat) -> None:
        """Record that a process stops in order; ``beat`` says which one."""
        self.call("farewell", *beat.last_words())

    def snapshot(self, recent: int = 0, max_symbols: int = 0) -> dict[str, Any]:
        """The reply of ``snapshot.lua`` by name; :func:`~mm.store.take_snapshot` parses it."""
        reply = self.call("snapshot", recent, max_symbols)
        return dict(zip((text(name) for name in reply[::2]), reply[1::2], strict=True))


def _place_args(proposal: Proposal) -> list[str | int]:
    prices = proposal.prices
    return [
        proposal.symbol,
        proposal.maker_id,
        proposal.trigger,
        proposal.position_version,
        proposal.quote_version,
        prices.bid_ticks,
        prices.bid_lots,
        prices.ask_ticks,
        prices.ask_lots,
        proposal.config_version,
        proposal.history,
    ]
