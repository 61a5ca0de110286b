"""The market maker: turns committed positions into quotes.

It owns no state. A stream entry only names symbols to look at. What the maker does follows from a
survey of these symbols alone (:func:`decide`), so a lost, repeated or late entry changes nothing.
Several makers share the symbols by rendezvous hashing over the live makers. Two makers may still
propose for one symbol: the placing script refuses the stale proposal.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Sequence
from typing import ClassVar

from mm.errors import ProposalRefused, RuleFault
from mm.market import Config, Placement, Prices, Proposal, Symbol, Trigger
from mm.process import Process
from mm.rule import QuoteRule, load_rule
from mm.store import Scripts, Survey, SurveyRow

#: The most symbols of one survey.
SURVEY_SYMBOLS = 500
#: A maker of at most so many symbols names them when it waits for an update, so that the survey
#: leaves out the symbols of other makers.
NAMED_SYMBOLS = 64
#: Seconds from one look at all own symbols to the next, with or without an update.
RECONCILE_S = 1.0
#: Pause after having quoted, so that one quote answers all fills of a symbol during the pause. It
#: is shorter after fewer than ``FEW`` quotes: then a pause delays more than it saves.
FEW = 5
REST_AFTER_FEW_S, REST_AFTER_MANY_S = 0.004, 0.006
#: What is asked for when a rule has failed: nothing, which ends the symbol's quote.
NO_QUOTE = Prices(1, 0, 2, 0)
#: The most characters of a fault that a heartbeat tells.
MAX_TROUBLE = 200


def owner(symbol: str, makers: Sequence[str]) -> str:
    """The maker that quotes the symbol; the same for every process that knows the same makers."""
    return max(makers, key=lambda maker: (zlib.crc32(f"{maker}/{symbol}".encode()), maker))


def decide(row: SurveyRow, servable: bool, now_ms: int, refresh_ms: int) -> Trigger | None:
    """Why the symbol should be quoted now, or None.

    ``servable`` says whether the exposure that it waits for is free. A symbol with an uncommitted
    fill is not quoted: the update that commits the fill leads to the next look at it.
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
    """Reads committed positions, surveys symbols, and proposes the quotes that its rule makes.

    A rule that fails for a symbol costs it its quote: nothing is asked for, so the quote that it
    has is withdrawn. The fault is logged once, and stands in each heartbeat until the rule works
    again.

    Freed exposure and expiries need no message: each survey shows them. ``reconcile_s`` is the time
    between two looks at all own symbols; with 0 each step looks at all. ``count`` counts proposals.
    """

    kind: ClassVar[str] = "maker"
    reconcile_s: float = RECONCILE_S
    _cursor: str | None = None
    _next_reconcile = 0.0
    _known: Config | None = None
    _faults: dict[str, str]
    _makers: tuple[str, ...] = ()
    _owners: dict[str, str]
    rule: QuoteRule = load_rule("follow_last")

    def attach(self, scripts: Scripts) -> None:
        """Use these scripts from now on; the next step looks at all own symbols."""
        super().attach(scripts)
        self._cursor = None
        self._next_reconcile = 0.0
        self._known = None
        self._faults = {}

    @property
    def config(self) -> Config:
        """The system's configuration, as of the version that this maker has last seen."""
        if self._known is None:
            self._known = self.stored_config()
        return self._known

    def _follow(self, version: int) -> None:
        """Read the configuration anew when the survey shows another version than the known one."""
        if self.config.version != version:
            self._known = self.stored_config()
            self.log.info("configuration version=%d", self.config.version)

    def step(self, wait_ms: int = 0) -> bool:
        """Survey the symbols that have new positions, and place the quotes that follow.

        Waits up to ``wait_ms`` for a new position. At times it surveys all own symbols instead.
        """
        own = self._mine(symbol.name for symbol in self.config.symbols)
        if self._cursor is None or time.monotonic() >= self._next_reconcile:
            self._next_reconcile = time.monotonic() + self.reconcile_s
            self._reconcile(own)
            return False
        named = own if len(own) <= NAMED_SYMBOLS else []
        survey = self.scripts.survey_updated(self._cursor, wait_ms, named)
        self._cursor = survey.cursor
        self.act(survey)
        return survey.more

    def _reconcile(self, own: Sequence[str]) -> None:
        cursor = None
        for start in range(0, max(len(own), 1), SURVEY_SYMBOLS):
            survey = self.scripts.survey(own[start : start + SURVEY_SYMBOLS])
            # An update between two surveys is heard twice rather than not at all.
            cursor = cursor or survey.cursor
            self.act(survey)
        self._cursor = cursor

    def rest_s(self, done: int, more: bool) -> float:
        """A short time in which the next committed positions gather."""
        if not done:
            return 0.0
        return REST_AFTER_FEW_S if done < FEW else REST_AFTER_MANY_S

    def act(self, survey: Survey) -> list[Placement | ProposalRefused]:
        """Propose a quote for each surveyed own symbol that should have one now."""
        self._follow(survey.config_version)
        proposals = self.proposals(survey)
        results = self.scripts.place_many(proposals)
        for proposal, result in zip(proposals, results, strict=True):
            self.done[result.code if isinstance(result, ProposalRefused) else result.outcome] += 1
            if self.is_detailed:
                self._detail(proposal, result)
        self.count += len(results)
        return results

    def proposals(self, survey: Survey) -> list[Proposal]:
        """The proposals that follow from a survey; waiting symbols with free exposure first."""
        servable = set(survey.servable)
        order = [*survey.servable, *(name for name in survey.rows if name not in servable)]
        found = []
        for name in self._mine(order):
            row = survey.rows[name]
            trigger = decide(row, name in servable, survey.now_ms, self.config.refresh_ms)
            if trigger is not None:
                found.append(self._proposal(row, trigger, survey.history))
        return found

    def _proposal(self, row: SurveyRow, trigger: Trigger, history: str) -> Proposal:
        return Proposal(
            row.symbol,
            self.name,
            trigger,
            row.position_version,
            row.quote_version,
            self._prices(row, self.config.symbol(row.symbol)),
            self.config.version,
            history,
        )

    def _prices(self, row: SurveyRow, symbol: Symbol) -> Prices:
        units = self.config.notional_units(symbol)
        try:
            prices = self.rule.prices(row.position, symbol, units)
        except RuleFault as error:
            if self._faults.get(row.symbol) != str(error):
                self.log.error("rule %s failed symbol=%s: %s", self.rule.name, row.symbol, error)
                self.say(f"the quote rule {self.rule.name} failed for {row.symbol}: {error}")
            self._faults[row.symbol] = str(error)
            return NO_QUOTE
        if self._faults.pop(row.symbol, None) is not None:
            self.log.info("rule %s works again symbol=%s", self.rule.name, row.symbol)
        return prices

    def beat_fields(self) -> dict[str, str]:
        """What it says with each heartbeat: the first fault of the rule, and how many there are."""
        trouble = "-"
        # Another maker may have taken over a symbol since.
        if failing := self._mine(self._faults):
            words = self._faults[failing[0]]
            fault = f"the quote rule {self.rule.name} fails for {failing[0]}: {words}"
            trouble = fault[:MAX_TROUBLE]
            if len(failing) > 1:
                trouble += f" (and for {len(failing) - 1} more)"
        return super().beat_fields() | {"trouble": trouble}

    def _detail(self, proposal: Proposal, result: Placement | ProposalRefused) -> None:
        """Log the proposal and what became of it."""
        requested = proposal.prices
        about: dict[str, object] = {
            "symbol": proposal.symbol,
            "trigger": proposal.trigger,
            "position_version": proposal.position_version,
            "replaces": proposal.quote_version,
            "requested": f"{requested.bid_lots}@{requested.bid_ticks}"
            f"x{requested.ask_lots}@{requested.ask_ticks}",
        }
        if isinstance(result, ProposalRefused):
            self.detail("refused", **about, rule=result.code, detail=result.detail)
            return
        granted = {"lots": f"{result.bid_lots}x{result.ask_lots}", "expires_ms": result.expires_ms}
        self.detail("quoted", **about, outcome=result.outcome, quote=result.quote_id, **granted)

    def _mine(self, symbols: Iterable[str]) -> list[str]:
        makers = (*self.peers, *(() if self.name in self.peers else (self.name,)))
        if len(makers) == 1:
            return list(symbols)
        if makers != self._makers:
            self._makers, self._owners = makers, {}
        return [symbol for symbol in symbols if self._owner(symbol) == self.name]

    def _owner(self, symbol: str) -> str:
        """The maker of the symbol among those that are known to live, worked out once."""
        found = self._owners.get(symbol)
        if found is None:
            found = self._owners[symbol] = owner(symbol, self._makers)
        return found
