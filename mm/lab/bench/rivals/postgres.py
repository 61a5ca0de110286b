"""The ordinary way with a database: PostgreSQL, one transaction an order, durable when it returns.

The transaction is a function in the server: an order costs one round trip, and its locks are held
as short as possible. A symbol's quote, reservation and position are one row. The global exposure is
the sum over the rows and is needed only when a quote is placed. So orders on different symbols
never wait for each other, and share their flushes.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mm.lab.bench.rivals import common
from mm.lab.bench.rivals.common import Order

TABLES = f"""
create table market (symbol text primary key, bid int not null, ask int not null,
  bid_lots int not null, ask_lots int not null, quote_version bigint not null,
  fill_seq bigint not null, net bigint not null, cash bigint not null) with (fillfactor = 50);
create table seen (client text, order_id text, outcome text not null,
  primary key (client, order_id));
create table fills (symbol text, seq bigint, side text not null, lots int not null,
  price int not null, client text not null, order_id text not null, quote_version bigint not null,
  at timestamptz not null, primary key (symbol, seq));
create table reports (client text, number bigserial, order_id text not null, outcome text not null,
  duplicate boolean not null, primary key (client, number));

create function requote(name text, max_lots int) returns void language plpgsql as $$
declare
  free_bid int; free_ask int; lean int;
begin
  -- One requote at a time: the sum may not change between its check and the new quote.
  perform pg_advisory_xact_lock(1);
  select max_lots - sum(bid_lots), max_lots - sum(ask_lots) into free_bid, free_ask
    from market where symbol <> name;
  update market set quote_version = quote_version + 1,
    bid = {common.REFERENCE - common.SPREAD // 2} - net / 10000,
    ask = {common.REFERENCE + common.SPREAD // 2} - net / 10000,
    bid_lots = greatest(0, least({common.SIZE}, free_bid)),
    ask_lots = greatest(0, least({common.SIZE}, free_ask)) where symbol = name;
end $$;

create function trade(who text, name text, what text, buys boolean, wanted int, limit_ticks int)
returns bigint language plpgsql as $$
declare
  m market; done text; price int; left_lots int; lots int; made bigint := 0;
begin
  select * into m from market where symbol = what for update;
  select outcome into done from seen where client = who and order_id = name;
  if found then
    insert into reports (client, order_id, outcome, duplicate) values (who, name, done, true);
    return 0;
  end if;
  if buys then price := m.ask; left_lots := m.ask_lots;
  else price := m.bid; left_lots := m.bid_lots; end if;
  lots := least(wanted, left_lots);
  if (buys and limit_ticks < price) or (not buys and limit_ticks > price) then lots := 0; end if;
  if lots = 0 then
    done := 'canceled 0 - -';
  else
    made := m.fill_seq + 1;
    insert into fills values (what, made, case when buys then 'buy' else 'sell' end, lots, price,
      who, name, m.quote_version, clock_timestamp());
    update market set fill_seq = made,
      bid_lots = bid_lots - case when buys then 0 else lots end,
      ask_lots = ask_lots - case when buys then lots else 0 end,
      net = net + case when buys then -lots else lots end,
      cash = cash + case when buys then lots else -lots end * price::bigint where symbol = what;
    done := case when lots = wanted then 'filled ' else 'partially_filled ' end || lots || ' '
      || price || ' ' || what || '-' || made;
  end if;
  insert into seen values (who, name, done);
  insert into reports (client, order_id, outcome, duplicate) values (who, name, done, false);
  return made;
end $$;
"""


def find_programs() -> Path | None:
    """The directory of initdb and postgres, or None when they are not installed."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    on_path = shutil.which("postgres")
    if on_path:
        found.append(Path(on_path).resolve().parent)
    fit = [path for path in found if (path / "initdb").exists()]
    return fit[0] if fit else None


@contextmanager
def server(programs: Path) -> Iterator[Path]:
    """A PostgreSQL with its usual durable settings, on a Unix socket only; yields its directory."""
    home = Path(tempfile.mkdtemp(prefix="mm-bench-pg-"))
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root.
        account = pwd.getpwnam("nobody")
        os.chown(home, account.pw_uid, account.pw_gid)
        user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    environment = os.environ | {"LC_ALL": "C", "HOME": str(home)}
    data = home / "data"
    process = None
    try:
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "bench", "--auth=trust", "-E", "UTF8"],
            check=True,
            stdout=subprocess.DEVNULL,
            env=environment,
            cwd=home,
            **user,
        )
        settings = ["listen_addresses=", f"unix_socket_directories={home}", "shared_buffers=256MB"]
        settings += ["max_wal_size=4GB", "log_min_messages=fatal"]
        command = [str(programs / "postgres"), "-D", str(data)]
        for setting in settings:
            command += ["-c", setting]
        process = subprocess.Popen(
            command, stderr=subprocess.DEVNULL, env=environment, cwd=home, **user
        )
        yield home
    finally:
        if process is not None:
            # SIGINT is its fast shutdown: open connections are dropped.
            process.send_signal(signal.SIGINT)
            process.wait(30)
        shutil.rmtree(home, ignore_errors=True)


def main() -> None:
    """Start a server, run, check and print the result; ``skipped`` says what is missing."""
    options = common.arguments(__doc__, url=False)
    programs = find_programs()
    if programs is None:
        common.print_result({"skipped": "no PostgreSQL server is installed"})
        return
    try:
        import psycopg
    except ImportError:
        common.print_result({"skipped": "psycopg is not installed"})
        return
    with server(programs) as home:
        common.print_result(_measured(psycopg, home, options))


def _connected(psycopg: Any, home: Path) -> Any:
    for attempt in range(200):
        try:
            return psycopg.connect(host=str(home), user="bench", dbname="postgres", autocommit=True)
        except psycopg.OperationalError:
            if attempt == 199:
                raise
            time.sleep(0.1)
    raise AssertionError


def _measured(psycopg: Any, home: Path, options: Any) -> dict[str, Any]:
    names, limit = common.symbols(options.symbols), common.limit_lots(options.symbols)
    control = _connected(psycopg, home)
    for setting in ("fsync", "synchronous_commit"):
        assert control.execute(f"show {setting}").fetchone()[0] == "on", setting
    control.execute(TABLES)
    for name in names:
        row = (name, 9_995, 10_005, common.SIZE, common.SIZE)
        control.execute("insert into market values (%s, %s, %s, %s, %s, 1, 0, 0, 0)", row)

    def trade(connection: Any, order: Order) -> None:
        words = (order.client, order.order_id, order.symbol, order.buys, order.lots, order.limit)
        cursor = connection.execute("select trade(%s, %s, %s, %s, %s, %s)", words, prepare=True)
        made = cursor.fetchone()[0]
        if made and made % common.REQUOTE == 0:
            connection.execute("select requote(%s, %s)", (order.symbol, limit), prepare=True)

    def work(connection: Any, mine: list[Order]) -> None:
        for order in mine:
            trade(connection, order)

    rate = common.run(options, lambda: _connected(psycopg, home), work)
    done = options.orders // options.workers * options.workers
    trade(control, common.orders(1, names, 0, options.seed)[0])
    return {"orders_per_s": rate, "checks": _checks(control, done, limit)}


def _checks(control: Any, done: int, limit: int) -> dict[str, bool]:
    def one(query: str) -> Any:
        return control.execute(query).fetchone()[0]

    wrong = """select count(*) from market m,
      lateral (select count(*) as made,
        coalesce(sum(case when side = 'buy' then -lots else lots end), 0) as net
        from fills f where f.symbol = m.symbol) as f
      where m.net <> f.net or m.fill_seq <> f.made"""
    reserved = one("select greatest(sum(bid_lots), sum(ask_lots)) from market")
    first = one("select count(*) from reports where not duplicate")
    again = one("select count(*) from reports where duplicate")
    return {
        "each order has one outcome": first == done and again == 1,
        "positions are the sums of their fills": one(wrong) == 0,
        "exposure is within its limit": reserved <= limit,
        "every order filled": one("select count(*) from fills") == done,
    }


if __name__ == "__main__":
    main()
