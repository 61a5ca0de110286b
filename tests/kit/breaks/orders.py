"""Edits of orders, their reports and outcomes, and of what waits."""

from __future__ import annotations

from collections.abc import Callable

from mm.store import StreamReader, execute
from tests.kit import World
from tests.kit.breaks.registry import Entry, breaks, edit_record, rewrite, set_field


def first_outcome(world: World) -> tuple[str, str, list[str]]:
    """A remembered outcome with a fill: its hash, its order, the words of content and outcome."""
    for bucket in StreamReader(world.scripts).members("seen:*"):
        for order, value in world.hash("seen:*", bucket).items():
            if " partially_filled " in value:
                return bucket, order, value.split(" ")
    raise AssertionError("nothing was filled")


@breaks("order-once")
def other_quantity_remembered(world: World) -> None:
    """The outcome's quantity is not that of the order's fill."""
    bucket, order, words = first_outcome(world)
    words[6] = str(int(words[6]) + 1)
    set_field(world, "seen:*", bucket, order, " ".join(words))


@breaks("order-once")
def other_content_remembered(world: World) -> None:
    """The remembered order is not the one that was sent, and nobody was answered so."""
    bucket, order, words = first_outcome(world)
    words[2] = str(int(words[2]) + 1)
    set_field(world, "seen:*", bucket, order, " ".join(words))


@breaks("order-once")
def conflict_remembered(world: World) -> None:
    """A refusal for another order's id is remembered as that id's own outcome."""
    bucket = StreamReader(world.scripts).members("seen:*")[0]
    value = "AAA buy 1 1 rejected order_id_conflict 0 - - -"
    set_field(world, "seen:*", bucket, "c1/never-sent", value)


@breaks("order-once")
def conflict_without_an_order(world: World) -> None:
    """An order is refused for an id that no order has."""
    line = f"rejected order_id_conflict 0 - - - 0 {world.now_ms()}"
    key = world.keys.member("reports:*", "c1")
    execute(world.client, "XADD", key, "*", "never-sent", line)


@breaks("order-once")
def outcome_forgotten(world: World) -> None:
    """A fill's outcome is not remembered."""
    bucket, order, _ = first_outcome(world)
    world.client.hdel(world.keys.member("seen:*", bucket), order)


@breaks("order-once")
def outcome_contradicts_itself(world: World) -> None:
    """An outcome is canceled and has a fill."""
    bucket, order, words = first_outcome(world)
    set_field(world, "seen:*", bucket, order, " ".join([*words[:4], "canceled", *words[5:]]))


@breaks("order-once")
def outcome_in_two_windows(world: World) -> None:
    """An order has two outcomes."""
    bucket, order, words = first_outcome(world)
    set_field(world, "seen:*", str(int(bucket) + 1), order, " ".join(words))


def report_index(world: World, wanted: Callable[[str], bool]) -> int:
    """The number of the first report of c1 that is wanted."""
    lines = [line for _, line in world.records("reports:*", "c1")]
    return next(index for index, line in enumerate(lines) if wanted(line))


def edit_report(
    world: World, wanted: Callable[[str], bool], edit: Callable[[list[str]], None]
) -> None:
    """Let ``edit`` change the words of the first report of c1 that is wanted."""
    key = world.keys.member("reports:*", "c1")
    rewrite(world, key, split_entries)
    edit_record(world, key, report_index(world, wanted), edit)


def split_entries(entries: list[Entry]) -> list[Entry]:
    """An entry a record, in the same order."""
    flat = [(words[i], words[i + 1]) for _, words in entries for i in range(0, len(words), 2)]
    return [(f"1-{number + 1}", list(record)) for number, record in enumerate(flat)]


@breaks("order-once")
def report_of_another_price(world: World) -> None:
    """A report has another price than the ledger."""
    edit_report(world, lambda line: line.startswith("filled"), lambda words: replace(words, 4, "7"))


def replace(words: list[str], index: int, word: str) -> None:
    """Replace one word."""
    words[index] = word


@breaks("order-once")
def duplicate_not_marked(world: World) -> None:
    """An order has two first reports."""
    edit_report(world, lambda line: line.split(" ")[6] == "1", lambda words: replace(words, 7, "0"))


@breaks("order-once")
def order_smaller_than_its_fill(world: World) -> None:
    """More was filled than ordered, as order and memory agree."""
    key = world.keys.named("orders")
    filled = next(fill for fill in world.kept_fills() if fill.qty_lots > 1)
    names = [name for name, _ in world.records("orders")]
    edit_record(world, key, names.index(filled.order_id), lambda words: replace(words, 4, "1"))
    order = f"{filled.client_id}/{filled.order_id}"
    for bucket in StreamReader(world.scripts).members("seen:*"):
        if value := world.hash("seen:*", bucket).get(order):
            words = value.split(" ")
            set_field(world, "seen:*", bucket, order, " ".join([*words[:2], "1", *words[3:]]))


@breaks("order-once")
def order_executed_twice(world: World) -> None:
    """Two fills of one order: the ledger, the memory and the reports agree on both."""
    first, second = [fill for fill in world.kept_fills() if fill.client_id == "c1"][:2]
    index = [name for name, _ in world.records("fills")].index(second.fill_id)
    rewrite(world, world.keys.named("fills"), split_fills)
    edit_record(
        world, world.keys.named("fills"), index, lambda words: replace(words, 5, first.order_id)
    )


def split_fills(entries: list[Entry]) -> list[Entry]:
    """An entry a fill; the state service's cursor names the last one, so its id is kept."""
    ms, last = int(entries[0][0].partition("-")[0]), entries[-1][0]
    found = [words for _, words in split_entries(entries)]
    ids = [f"{ms}-{number}" for number in range(1_000, 1_000 + len(found) - 1)]
    return list(zip([*ids, last], found, strict=True))


@breaks("drained")
def order_waits(world: World) -> None:
    """An order waits to be matched."""
    world.send(world.order())


@breaks("drained")
def order_in_an_inbox(world: World) -> None:
    """An order waits to be taken from its client's inbox."""
    world.admit("c7")
    world.send_to_inbox("c7", "o1", "c7 AAA buy 1 1")


@breaks("drained")
def inbox_of_nobody(world: World) -> None:
    """A foreign hand has appended to the inbox of a client that is not admitted."""
    world.send_to_inbox("c8", "o1", "c8 AAA buy 1 1")


@breaks("drained")
def state_behind(world: World) -> None:
    """A fill waits to be committed."""
    set_field(world, "cursors", None, "state", world.stream("fills")[-2][0])
