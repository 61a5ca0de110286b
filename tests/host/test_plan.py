"""The plan of a run: names and arguments of the children, without starting any."""

from __future__ import annotations

from pathlib import Path

import pytest

from mm.cli.main import main
from mm.errors import ValueRefused
from mm.host import CHILD_URL, ChildPlan, DataDir, LogOptions, System
from mm.store import Keys

SYSTEM = System(DataDir(Path("d")), None, Keys(), None)
WHERE = ("--data-dir", "d", "--prefix", "{mm}")


def planned(plan: ChildPlan, system: System = SYSTEM) -> dict[str, tuple[str, ...]]:
    """The arguments of each child, by name and in the order of their start."""
    return {child.name: child.arguments for child in plan.children(system)}


def test_each_kind_has_its_number_of_children() -> None:
    """One exchange, state service and archivist, as many makers and publishers as asked for."""
    alone = ["exchange-1", "state-1", "archivist-1"]
    assert list(planned(ChildPlan(makers=2, publishers=2))) == [
        *(*alone, "maker-1", "maker-2", "publisher-1", "publisher-2")
    ]
    assert list(planned(ChildPlan(makers=0, publishers=0))) == alone
    assert planned(ChildPlan(makers=2))["maker-2"] == ("maker", "--id", "2", *WHERE)


def test_publishers_share_the_rate_and_count_up_the_seeds() -> None:
    """Each publisher sends its share of the rate, from a seed of its own."""
    found = planned(ChildPlan(publishers=4, rate=50, seed=7, informed_percent=3, run_id="r1"))
    for number in range(1, 5):
        flow = ("--rate", "12.5", "--seed", str(6 + number), "--informed", "3", "--run-id", "r1")
        expected = ("publisher", "--id", str(number), *flow, *WHERE)
        assert found[f"publisher-{number}"] == expected


def test_details_are_logged_by_all_children() -> None:
    """Every child logs as the plan says, with details or without, in text or in JSON."""
    for detail in (False, True):
        for words in planned(ChildPlan(logs=LogOptions(detail))).values():
            assert ("--log-detail" in words) == detail
            assert "--log-format" not in words
    for words in planned(ChildPlan(logs=LogOptions(form="json"))).values():
        assert words[words.index("--log-format") + 1] == "json"
        assert "--log-detail" not in words


def test_every_plan_is_a_run_of_its_own() -> None:
    """Two plans have different run ids, and one plan gives all publishers and restarts the same."""
    first, second = ChildPlan(publishers=2), ChildPlan(publishers=2)
    ids = [
        words[words.index("--run-id") + 1]
        for plan in (first, first, second)
        for name, words in planned(plan).items()
        if name.startswith("publisher")
    ]
    assert len(set(ids)) == 2 and ids[:4] == [ids[0]] * 4


@pytest.mark.parametrize(("publishers", "names"), [(0, []), (1, ["1"]), (3, ["1"])])
def test_a_tape_has_at_most_one_publisher(publishers: int, names: list[str]) -> None:
    """A tape is sent once, however many publishers are asked for."""
    found = planned(ChildPlan(publishers=publishers, tape=Path("t.csv"), speed=10, run_id="r1"))
    assert [name for name in found if "publisher" in name] == [f"publisher-{n}" for n in names]
    for name in names:
        flow = ("--tape", "t.csv", "--speed", "10", "--run-id", "r1")
        assert found[f"publisher-{name}"] == ("publisher", "--id", name, *flow, *WHERE)


def test_every_child_finds_the_same_system() -> None:
    """Directory, prefix, URL and durability are passed on, the URL where nobody else reads it."""
    url = "redis://:s3cr@h:1/2"
    system = System(DataDir(Path("/a b")), url, Keys("{x}"), "relaxed")
    options = ["--data-dir", "/a b", "--prefix", "{x}", "--durability", "relaxed"]
    assert system.options() == options
    for arguments in planned(ChildPlan(publishers=3), system).values():
        assert list(arguments[-6:]) == options
        assert not [word for word in arguments if "s3cr" in word]
    assert system.environment() == {CHILD_URL: url}
    assert SYSTEM.environment() == {}


def test_the_command_line_accepts_every_planned_child(tmp_path: Path) -> None:
    """Each planned child is a command with options that the command line knows."""
    tape = tmp_path / "t.csv"
    tape.write_text("ts_ms,symbol,side,price,qty\n1,XY,buy,1.00,1\n")
    system = System(DataDir(tmp_path), "redis://h:1/2", Keys("{x}"), "relaxed")
    for plan in (ChildPlan(), ChildPlan(tape=tape, logs=LogOptions(True))):
        for child in plan.children(system):
            command = main.get_command(None, child.arguments[0])  # type: ignore[arg-type]  # unused
            assert command is not None
            parsed = command.make_context("mm", list(child.arguments[1:]))
            assert parsed.params["prefix"] == "{x}"


def test_each_partition_has_its_own_children() -> None:
    """They are of its key prefix, their ids begin with its number, and one balancer serves all."""
    plan = ChildPlan(makers=1, publishers=1, rate=50, seed=7)
    found = {child.name: child.arguments for child in plan.children(SYSTEM, 2)}
    assert list(found) == [
        *("balancer-1", "exchange-0.1", "state-0.1", "archivist-0.1", "maker-0.1"),
        *("exchange-1.1", "state-1.1", "archivist-1.1", "maker-1.1"),
        *("publisher-0.1", "publisher-1.1"),
    ]
    assert found["balancer-1"][-1] == "{mm}"
    assert found["maker-1.1"] == ("maker", "--id", "1.1", "--data-dir", "d", "--prefix", "{mm-1}")
    assert found["publisher-1.1"][3:7] == ("--rate", "25", "--seed", "8")
    assert plan.clients(2) == ("publisher-0.1", "publisher-1.1")


def test_a_rate_too_low_for_the_publishers_of_all_partitions() -> None:
    """It is refused before anything starts: the children would be restarted for ever."""
    plan = ChildPlan(publishers=1, rate=1.5e-6)
    assert plan.children(SYSTEM)
    with pytest.raises(ValueRefused, match="orders/s a publisher"):
        plan.children(SYSTEM, 2)


def test_the_gateway_stands_beside_the_processes(tmp_path: Path) -> None:
    """With an address there is one gateway for all partitions; the system hears nothing of it."""
    system = System(DataDir(tmp_path), None, Keys(), None)
    for partitions in (1, 3):
        planned = ChildPlan(serve="127.0.0.1:8080").children(system, partitions)
        (gateway,) = [child for child in planned if child.name == "serve"]
        assert gateway.arguments[:3] == ("serve", "--listen", "127.0.0.1:8080")
        assert not gateway.beats and not gateway.finishes
        assert all(child.beats for child in planned if child is not gateway)
    assert all(child.name != "serve" for child in ChildPlan().children(system))
