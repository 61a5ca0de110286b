"""Rubbish and near misses: order entries, tapes, configurations and command lines from a seed.

Each generator takes a ``random.Random`` and nothing else, so that a case is named by its seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal

from mm.market import config_toml, default_config
from tests.kit.rubbish import NAMES, WORDS, random_entry

Records = list[tuple[bytes, bytes]]

#: Decimals and integers, many of them at or past a limit of a rule.
NUMBERS = (
    *("0", "1", "-1", "+1", "01", "1.0", "0.1", "1e3", "1E400", "1e308", "-0", "0x10", "1_000"),
    *("nan", "-inf", "inf", "Infinity", "", " ", " 1", "1 ", "1.", ".5", "1..2", "1,5", "½", "٣"),
    *("9" * 15, "9" * 16, "9" * 17, "9" * 21, "9" * 40, "9" * 5000, "0." + "0" * 20 + "1"),
    *(
        "9007199254740991",
        "9007199254740992",
        "187.25",
        "187.255",
        "10",
        "5e-324",
        "0x" + "f" * 5000,
    ),
)
TEXTS = (
    *("", " ", "-", "--", "a b", "a/b", "../x", "~", "$HOME", "%s%n%d", "{mm}", "{}", "{a", "\\"),
    *(
        "AAPL",
        "aapl",
        "AAPL-1",
        "Ä",
        "🙂",
        "\u202e",
        "\u0000",
        "\n",
        "\t",
        "\x1b[31m",
        "[bold]x[/]",
    ),
    *("[/red]", "'; --", '"', "x" * 64, "x" * 65, "X" * 16, "X" * 17, "x" * 5000, "\ud800", "null"),
)


def rng_for(seed: int, kind: str, number: int) -> random.Random:
    """The case's own generator: a case can be played again without those before it."""
    return random.Random(f"{seed}/{kind}/{number}")


def damage(rng: random.Random, data: bytes, max_changes: int = 4) -> bytes:
    """The data with 1 to ``max_changes`` pieces replaced, removed, doubled or inserted."""
    found = bytearray(data)
    for _ in range(rng.randint(1, max_changes)):
        at = rng.randrange(len(found) + 1)
        size = rng.choice((0, 1, 1, 2, 5, 40))
        action = rng.randrange(5)
        if action == 0:
            found[at : at + size] = rng.randbytes(size)
        elif action == 1:
            del found[at : at + size]
        elif action == 2:
            found[at:at] = found[at : at + size]
        elif action == 3:
            found[at:at] = rng.choice((b"\n", b" ", b'"', b",", b"\x00", b"\xff", b"0", b"-", b"."))
        else:
            found[at:at] = rng.choice(NUMBERS + TEXTS).encode("utf-8", "surrogatepass")
    return bytes(found)


# --- order entries


def order_record(rng: random.Random) -> tuple[bytes, bytes]:
    """A record of an order: good, damaged in its bytes, or with words of the wrong kind."""
    name = b"o%d" % rng.randrange(1_000_000)
    words = [
        b"c%d" % rng.randrange(5),
        rng.choice((b"AAA", b"BBB", b"CCC")),
        rng.choice((b"buy", b"sell")),
        b"%d" % rng.randint(1, 3),
        b"%d" % rng.randint(95, 105),
    ]
    line = b" ".join(words)
    choice = rng.random()
    if choice < 0.35:
        line = damage(rng, line)
    elif choice < 0.5:
        words[rng.randrange(5)] = rng.choice((rng.choice(NUMBERS), rng.choice(TEXTS))).encode(
            "utf-8", "surrogatepass"
        )
        line = b" ".join(words)
    elif choice < 0.6:
        name = rng.choice((rng.choice(NAMES), damage(rng, name)))
    elif choice < 0.7:
        line = rng.randbytes(rng.randrange(200))
    return name, line


def bad_record(rng: random.Random) -> tuple[bytes, bytes]:
    """A record that cannot be an order."""
    line = rng.choice((b"", b"c1", b"c1 AAA buy 1", b"c1 AAA hold 1 1", b"c2 aaa buy 1 1"))
    return b"x%d" % rng.randrange(1_000_000), rng.choice(
        (line, line + rng.choice(WORDS)[:9] + b"!")
    )


def order_entry(rng: random.Random) -> Records:
    """One entry of a few records. Rarely it has very many records, or one name twice."""
    if rng.random() < 0.2:
        return random_entry(rng)
    count = 400 if rng.random() < 0.0005 else rng.choice((1, 1, 1, 2, 3))
    records = [order_record(rng) for _ in range(count)]
    if rng.random() < 0.05:
        records.append((records[0][0], rng.choice(records)[1]))
    return records


# --- tapes


def tape_bytes(rng: random.Random) -> bytes:
    """A tape file, usually damaged in its bytes, values, lines or encoding."""
    symbols = rng.choice((["XY"], ["XY", "AB.C"], ["XY"], ["AAPL", "XY"], ["X" * 16, "Y-1"]))
    ts, places = rng.randrange(10**12), rng.choice(((2, 0), (0, 3), (4, 2), (14, 0), (1, 1)))
    rows = [["ts_ms", "symbol", "side", "price", "qty"]]
    for _ in range(rng.choice((0, 1, 2, 5, 30))):
        ts += rng.choice((0, 1, 50, 10_000))
        whole = rng.randint(1, 10 ** rng.choice((1, 2, 3, 9)))
        price = f"{whole}.{rng.randrange(10 ** places[0]):0{places[0]}d}"
        qty = f"{rng.randint(1, 500)}.{rng.randrange(10 ** places[1]):0{places[1]}d}"
        amounts = [price if places[0] else price[:-2], qty if places[1] else qty[:-2]]
        rows.append([str(ts), rng.choice(symbols), rng.choice(("buy", "sell")), *amounts])
    for _ in range(rng.choice((0, 0, 0, 1, 3))):
        row = rng.choice(rows)
        at = rng.randrange(len(row)) if row else 0
        change = rng.randrange(5)
        if change < 3 and row:
            row[at] = rng.choice(
                (rng.choice(NUMBERS), rng.choice(TEXTS), rng.choice(rows[0] or [""]))
            )
        elif change == 3 and row:
            del row[at]
        else:
            row.insert(at, rng.choice(TEXTS))
    if rng.random() < 0.1:
        rng.shuffle(rows)
    text = rng.choice(("\n", "\n", "\r\n", "\r")).join(",".join(row) for row in rows)
    text += rng.choice(("", "", "\n", "\n", "\n\n", rng.choice(('"', ",", "\x00", "x" * 200_000))))
    encoding = rng.choice(("utf-8",) * 40 + ("utf-8-sig", "utf-16", "utf-32"))
    data = text.encode(encoding, "surrogatepass")
    if rng.random() < 0.3:
        data = damage(rng, data)
    return rng.randbytes(rng.randrange(300)) if rng.random() < 0.03 else data


# --- configurations

_TOML_VALUES = (
    *("1", "0", "-1", "1.5", "nan", "-inf", "1e400", "true", "[]", "{}", '""', '"1"', "''", "x"),
    *(
        "9007199254740991",
        "9007199254740992",
        "9" * 30,
        "9" * 5000,
        "0x" + "f" * 5000,
        "0b1",
        "1_0",
    ),
    *(
        "2020-01-01",
        "2020-13-01",
        "25:00:00",
        "[1,",
        "{a=1",
        '"\\ud800"',
        '"\\u0000"',
        '"""a\nb"""',
    ),
    *(
        '"lots"',
        '"notional"',
        '"always"',
        '"relaxed"',
        '["lots"]',
        '"0.01"',
        '"0"',
        '"-0.01"',
        "'AAA'",
    ),
    *('"0.00000000000000000001"', '"99999999999999999999"', "[" * 2000, "[" * 50 + "]" * 50),
    *('"1e3"', '"٣"', '"[bold]"', "{name = 1}", "[{}]", "10000", "30000", "2", "100", "3600000"),
)


def _symbol_lines(rng: random.Random) -> list[str]:
    odd = rng.choice(TEXTS).encode("ascii", "ignore").decode()
    name = odd if rng.random() < 0.05 else f"{rng.choice('ABCDE')}{rng.randrange(100)}"
    big = rng.choice((1, 1, 1, 1, 10**3, 10**6))
    tick = rng.choice((Decimal("0.01"), Decimal(1), Decimal("0.5"), Decimal("0.00001")))
    return [
        "[[symbol]]",
        f'name = "{name}"',
        f'tick = "{tick}"',
        f'lot = "{rng.choice(("1", "0.001", "100"))}"',
        f'reference = "{tick * rng.choice((1, 2, 100, 12_345, 10**6)):f}"',
        f"spread_ticks = {rng.choice((1, 2, 7, 1000)) * big}",
        f"size_lots = {rng.choice((1, 10, 1000)) * big}",
        f"skew_ticks = {rng.choice((0, 1, 50)) * big}",
        f"position_limit_lots = {rng.choice((1, 100, 10_000)) * big}",
        *([f"multiplier = {rng.choice((1, 10, 1000))}"] if rng.random() < 0.3 else []),
    ]


def config_bytes(rng: random.Random) -> bytes:
    """A configuration file, the default or a made-up one, usually with something wrong."""
    if rng.random() < 0.4:
        lines = config_toml(default_config()).splitlines()
    else:
        lines = ["[market]"]
        for name in ("limit_units", "keep_updates", "keep_orders", "dedup_window_ms"):
            if rng.random() < 0.3:
                lines.append(f"{name} = {rng.choice((1, 10, 5000, 10**6, 10**12, 2**53 - 1))}")
        if rng.random() < 0.3:
            lines += [f"keep_{name} = 1" for name in ("reports", "updates", "deadletters")]
        if rng.random() < 0.3:
            ttl = rng.choice((2, 1000, 10**9, 2**53 - 1))
            lines += [f"quote_ttl_ms = {ttl}", f"refresh_ms = {rng.choice((1, ttl - 1, ttl // 2))}"]
        if rng.random() < 0.5:
            lines = [line for line in lines if not line.startswith("limit_units")]
            limit = rng.choice(("250000", "0.01", "1.5", "99999999999.5", "90071992547409.91"))
            lines += ['exposure_mode = "notional"', f'limit = "{limit}"', 'currency = "USD"']
        for _ in range(rng.choice((0, 1, 1, 2, 4))):
            lines += _symbol_lines(rng)
    for _ in range(rng.choice((0, 0, 0, 1, 1, 4))):
        at = rng.randrange(len(lines))
        name, equals, _ = lines[at].partition(" = ")
        change = rng.randrange(7)
        if change < 4 and equals:
            lines[at] = f"{name} = {rng.choice(_TOML_VALUES)}"
        elif change == 4:
            del lines[at]
            lines = lines or [""]
        elif change == 5:
            lines.insert(at, rng.choice(lines))
        else:
            lines[at] = rng.choice((f"{name}.x = 1", f"[{name}]", f"x{name}=1", *TEXTS))
    data = "\n".join(lines).encode("utf-8", "surrogatepass")
    if rng.random() < 0.2:
        data = damage(rng, data)
    return rng.randbytes(rng.randrange(300)) if rng.random() < 0.02 else data


#: The generators of what is read from a file.
FILES: dict[str, Callable[[random.Random], bytes]] = {"tape": tape_bytes, "config": config_bytes}
