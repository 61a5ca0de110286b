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

from mm.errors import ProposalRefused
from mm.market import Config, Placement, Position, Proposal, Trigger, quote_prices
from mm.process import Process
from mm.store import Scripts, Survey, SurveyRow, execute, require_config, send_pipeline, text

#: Symbols surveyed in one call at most.
SURVEY = 500
#: Own symbols surveyed along with listening, in the same round trip: whatever is committed under
#: load, the answer to it is on its way before the next orders are matched.
AHEAD = 64
#: How often every symbol of its own is looked at, whether or not anything was heard of it.
RECONCILE_S = 1.0
#: Pause after having quoted: one quote then answers all fills of a symbol that come meanwhile. It
#: is longer after a few quotes, when there is no hurry.
FEW = 5
REST_AFTER_FEW_S, REST_AFTER_MANY_S = 0.02, 0.006
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
    """Listens to committed positions, surveys, and proposes quotes.

    Freed exposure and expiries need no message: each survey shows them. ``reconcile_s`` is how
    often it looks at all its symbols unasked (0: at every step).
    """

    kind: ClassVar[str] = "maker"
    reconcile_s: float = RECONCILE_S
    _heard_id: str | None = None
    _next_reconcile = 0.0
    _known: Config | None = None

    def attach(self, scripts: Scripts) -> None:
        """Take up a connection: forget what was heard on an earlier one, look at everything."""
        super().attach(scripts)
        self._heard_id = None
        self._next_reconcile = 0.0
        self._known = None

    @property
    def config(self) -> Config:
        """The system's configuration, read once a connection: it cannot change under it."""
        if self._known is None:
            self._known = require_config(self.scripts)
        return self._known

    def step(self, wait_ms: int = 0) -> bool:
        """Hear, look, and place what should be placed."""
        heard, more, seen = self._listen(wait_ms)
        look = self._mine(sorted(heard))
        if time.monotonic() >= self._next_reconcile:
            self._next_reconcile = time.monotonic() + self.reconcile_s
            look = self._mine(symbol.name for symbol in self.config.symbols)
        if seen is not None:
            self.act(seen)
            look = [name for name in look if name not in seen.rows]
        elif heard:
            # Also without a symbol of its own: a fill of another's may have freed exposure.
            look = look or [""]
        for start in range(0, len(look), SURVEY):
            self.act(self.scripts.survey(look[start : start + SURVEY]))
        return more

    def _listen(self, wait_ms: int) -> tuple[set[str], bool, Survey | None]:
        """The symbols with committed updates, whether more wait, and a survey if it waited."""
        client, stream = self.scripts.client, self.keys.named("positions")
        if self._heard_id is None:
            # First the end of the stream, then the survey of everything: what comes between is
            # seen in both, and nothing in neither.
            last = execute(client, "XREVRANGE", stream, "+", "-", "COUNT", 1)
            self._heard_id = text(last[0][0]) if last else "0-0"
            return set(), False, None
        seen = None
        if wait_ms > 0:
            ahead = self._mine(symbol.name for symbol in self.config.symbols)[:AHEAD]
            reply, seen = self.scripts.survey_after(self._heard_id, wait_ms, LISTEN, ahead)
        else:
            read = ("XREAD", "COUNT", LISTEN, "STREAMS", stream, self._heard_id)
            (reply,) = send_pipeline(client, [read])
        if not reply:
            return set(), False, seen
        ((_, entries),) = reply
        self._heard_id = text(entries[-1][0])
        heard = {text(symbol) for _, fields in entries for symbol in fields[::2]}
        return heard, len(entries) == LISTEN, seen

    def rest_s(self, done: int, more: bool) -> float:
        """A moment for the next committed positions to gather."""
        if not done:
            return 0.0
        return REST_AFTER_FEW_S if done < FEW else REST_AFTER_MANY_S

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
        prices = quote_prices(position, self.config.symbol(row.symbol))
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
