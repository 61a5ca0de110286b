"""The plan of a run: which children there are, and with which arguments each one starts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from mm.host.locate import System
from mm.host.logs import LogOptions
from mm.orders import check_paced, check_shared_rate, new_run_id


@dataclass(frozen=True)
class PlannedChild:
    """One child: its name, such as ``maker-2``, and its arguments for ``mm``."""

    name: str
    arguments: tuple[str, ...]

    @property
    def finishes(self) -> bool:
        """Whether it ends by itself when its work is done; only publishers do."""
        return self.arguments[0] == "publisher"

    @property
    def beats(self) -> bool:
        """Whether the system hears of it; the gateway only stands before it."""
        return self.arguments[0] != "serve"


@dataclass(frozen=True)
class Place:
    """Where children run: how their ids begin, and the system or the partition of it."""

    begin: str
    system: System


@dataclass(frozen=True)
class ChildPlan:
    """How many children of which kind, and which orders the publishers send.

    With partitions each of them has so many makers and publishers, and an exchange, a state
    service and an archivist; the partition's number begins their ids. ``rate`` is orders per
    second over all publishers. ``seed`` is that of the first publisher; each further one takes the
    next. ``informed_percent`` is the share of informed senders. A ``tape`` replaces that flow, at
    ``speed`` (1 is real time, 0 flat out), ``paced`` by the quotes or not, and has at most one
    publisher in a partition. ``rule`` names the quote rule of the makers, empty for the default
    one. ``serve`` is where the gateway listens, empty without one. A publisher that is restarted
    goes on with its run, whose id is ``run_id``. ``logs`` is how all children log. Raises
    ValueRefused for a rate that the publishers would refuse, and UsageError when there is no tape
    to pace: as children they would be restarted for ever.
    """

    makers: int = 2
    publishers: int = 1
    rate: float = 50.0
    seed: int = 1
    informed_percent: int = 10
    tape: Path | None = None
    speed: float = 1.0
    rule: str = ""
    serve: str = ""
    paced: bool = False
    logs: LogOptions = field(default_factory=LogOptions)
    run_id: str = field(default_factory=new_run_id)

    def __post_init__(self) -> None:
        check_shared_rate(self.rate, self.publishers)
        if self.paced:
            check_paced(self.tape)

    def children(self, system: System, partitions: int = 1) -> list[PlannedChild]:
        """The children in the order of their start; the publishers are last.

        ValueRefused when the rate is too low for the publishers of so many partitions.
        """
        check_shared_rate(self.rate, self.publishers * partitions)
        places = [Place("", system)]
        if partitions > 1:
            keys = system.keys
            places = [
                Place(f"{number}.", replace(system, keys=keys.partition(number)))
                for number in range(partitions)
            ]
        planned = [self._child("balancer", "1", (), system)] if partitions > 1 else []
        for place in places:
            kinds = (("exchange", 1), ("state", 1), ("archivist", 1), ("maker", self.makers))
            for kind, count in kinds:
                options = ("--rule", self.rule) if kind == "maker" and self.rule else ()
                for number in range(1, count + 1):
                    ident = f"{place.begin}{number}"
                    planned.append(self._child(kind, ident, options, place.system))
        if self.serve:
            planned.append(self._gateway(system))
        sender = 0
        for place in places:
            for number in self._publishers():
                flow = self._flow(sender, partitions)
                ident = f"{place.begin}{number}"
                planned.append(self._child("publisher", ident, flow, place.system))
                sender += 1
        return planned

    def _child(
        self, kind: str, ident: str, options: tuple[str, ...], system: System
    ) -> PlannedChild:
        words = (kind, "--id", ident, *options, *self.logs.words(), *system.options())
        return PlannedChild(f"{kind}-{ident}", words)

    def _gateway(self, system: System) -> PlannedChild:
        words = ("serve", "--listen", self.serve, *self.logs.words(), *system.options())
        return PlannedChild("serve", words)

    def clients(self, partitions: int = 1) -> tuple[str, ...]:
        """The clients that the publishers are."""
        begins = [""] if partitions == 1 else [f"{number}." for number in range(partitions)]
        return tuple(
            f"publisher-{begin}{number}" for begin in begins for number in self._publishers()
        )

    def _publishers(self) -> range:
        """The numbers of the publishers, in each partition."""
        count = self.publishers if self.tape is None else min(self.publishers, 1)
        return range(1, count + 1)

    def _flow(self, sender: int, partitions: int) -> tuple[str, ...]:
        """The options of the publisher number ``sender``, from 0, that say what it sends."""
        run = ("--run-id", self.run_id)
        if self.tape is not None:
            pace = ("--paced",) if self.paced else ()
            return ("--tape", str(self.tape), "--speed", f"{self.speed:g}", *pace, *run)
        rate, seed = self.rate / (self.publishers * partitions), self.seed + sender
        informed = ("--informed", str(self.informed_percent))
        return ("--rate", f"{rate:g}", "--seed", str(seed), *informed, *run)
