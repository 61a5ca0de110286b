"""The market maker: turns committed positions into quotes.

It owns nothing. Streams only tell it where to look; what it does follows from what it then sees
(:func:`decide`), so that a lost, doubled or late message changes nothing. Several makers share the
symbols by rendezvous hashing over the live ones; the placing script refuses whatever is stale.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Sequence
from typing import ClassVar

from mm import strategy
from mm.config import Config
from mm.errors import ProposalRefused, Unavailable
from mm.model import Placement, Position, Proposal, Trigger
from mm.process import Process
from mm.scripts import Scripts, Survey, SurveyRow, execute, text
from mm.snapshot import read_config

#: Symbols surveyed in one call at most.
SURVEY = 500
#: How often every symbol of its own is looked at, whether or not anything was heard of it.
RECONCILE_S = 1.0
#: Stream entries read at once; what is left waits for the next step.
LISTEN = 1_000


def owner(symbol: str, makers: Sequence[str]) -> str:
    """The maker that quotes the symbol: the same answer wherever the same makers are known."""
    return max(makers, key=lambda maker: (zlib.crc32(f"{maker}/{symbol}".encode()), maker))


def decide(row: SurveyRow, servable: bool, now_ms: int, refresh_ms: int) -> Trigger | None:
    """Why the symbol should be quoted now, or None; ``servable`` if exposure it waits for is free.

    All fills must be committed first: the update that commits the last one will bring it back.
    """
    if row.halted or row.position_version != row.fill_seq:
        return None
    if row.quote_position_version < 0:
        if row.quote_version == 0 and not row.waiting:
            return "bootstrap"
        if row.waiting:
            return "capacity" if servable else None
        return "expired"
    if row.quote_position_version != row.position_version:
        return "position"
    if row.quote_expires_ms - now_ms <= refresh_ms:
        return "refresh"
    return "capacity" if servable else None


class Maker(Process):
    """Listens to committed positions and quote events, surveys, and proposes quotes.

    ``reconcile_s`` is how often it looks at all its symbols unasked (0: at every step).
    """

    kind: ClassVar[str] = "maker"
    reconcile_s: float = RECONCILE_S
    _heard_ids: dict[str, str] | None = None
    _next_reconcile = 0.0
    _known: Config | None = None

    def attach(self, scripts: Scripts) -> None:
        """Take up a connection: forget what was heard on an earlier one, look at everything."""
        super().attach(scripts)
        self._heard_ids = None
        self._next_reconcile = 0.0
        self._known = None

    @property
    def config(self) -> Config:
        """The system's configuration, read once a connection: it cannot change under it."""
        if self._known is None:
            self._known = read_config(self.scripts)
            if self._known is None:
                raise Unavailable("the keys hold no system")
        return self._known

    def step(self, wait_ms: int = 0) -> bool:
        """Hear, look, and place what should be placed."""
        heard, freed, more = self._listen(wait_ms)
        look = self._mine(sorted(heard))
        if time.monotonic() >= self._next_reconcile:
            self._next_reconcile = time.monotonic() + self.reconcile_s
            look = self._mine(symbol.name for symbol in self.config.symbols)
        if look or freed:
            for start in range(0, max(len(look), 1), SURVEY):
                self.act(self.scripts.survey(look[start : start + SURVEY]))
        return more

    def _listen(self, wait_ms: int) -> tuple[set[str], bool, bool]:
        """The symbols to look at, whether exposure may have become free, whether more waits."""
        client = self.scripts.client
        streams = [self.keys.named("positions"), self.keys.named("quotes")]
        if self._heard_ids is None:
            # First the ends of the streams, then the survey of everything: what comes between is
            # seen in both, and nothing in neither.
            self._heard_ids = {}
            for stream in streams:
                last = execute(client, "XREVRANGE", stream, "+", "-", "COUNT", 1)
                self._heard_ids[stream] = text(last[0][0]) if last else "0-0"
            return set(), False, False
        block = ("BLOCK", wait_ms) if wait_ms > 0 else ()
        ids = [self._heard_ids[stream] for stream in streams]
        reply = execute(client, "XREAD", "COUNT", LISTEN, *block, "STREAMS", *streams, *ids)
        heard: set[str] = set()
        freed = more = False
        for name, entries in reply or []:
            self._heard_ids[name.decode()] = entries[-1][0].decode()
            more = more or len(entries) == LISTEN
            for _, fields in entries:
                if name.decode() == streams[0]:
                    heard.update(symbol.decode() for symbol in fields)
                    freed = True
                elif fields[b"event"] != b"active" or fields[b"outcome"] != b"granted":
                    freed = True
                    if fields[b"event"] == b"expired":
                        heard.add(fields[b"symbol"].decode())
        return heard, freed, more

    def act(self, survey: Survey) -> list[Placement | ProposalRefused]:
        """Propose a quote for each surveyed symbol of its own that should have one now."""
        proposals = self.proposals(survey)
        results = self.scripts.place_many(proposals)
        for proposal, result in zip(proposals, results, strict=True):
            self._log(proposal, result)
        self.count += len(results)
        return results

    def proposals(self, survey: Survey) -> list[Proposal]:
        """The proposals that follow from a survey; servable symbols first, in their order."""
        servable = set(survey.servable)
        order = [*survey.servable, *(name for name in survey.rows if name not in servable)]
        found = []
        for name in self._mine(order):
            row = survey.rows[name]
            trigger = decide(row, name in servable, survey.now_ms, self.config.refresh_ms)
            if trigger is not None:
                found.append(self._proposal(row, trigger))
        return found

    def _proposal(self, row: SurveyRow, trigger: Trigger) -> Proposal:
        position = Position(net_lots=row.net_lots, last_price_ticks=row.last_price_ticks)
        prices = strategy.quote(position, self.config.symbol(row.symbol))
        return Proposal(
            row.symbol, self.name, trigger, row.position_version, row.quote_version, prices
        )

    def _log(self, proposal: Proposal, result: Placement | ProposalRefused) -> None:
        asked = proposal.prices
        said = (
            f"quote symbol={proposal.symbol} trigger={proposal.trigger}"
            f" position_version={proposal.position_version} replaces={proposal.quote_version}"
            f" asked={asked.bid_lots}@{asked.bid_ticks}x{asked.ask_lots}@{asked.ask_ticks}"
        )
        if isinstance(result, ProposalRefused):
            self.log.info("%s refused rule=%s %s", said, result.code, result.detail)
        else:
            self.log.info(
                "%s %s quote=%s lots=%dx%d expires_ms=%d",
                said,
                result.outcome,
                result.quote_id,
                result.bid_lots,
                result.ask_lots,
                result.expires_ms,
            )

    def _mine(self, symbols: Iterable[str]) -> list[str]:
        makers = self.peers if self.name in self.peers else [*self.peers, self.name]
        if len(makers) == 1:
            return list(symbols)
        return [symbol for symbol in symbols if owner(symbol, makers) == self.name]
