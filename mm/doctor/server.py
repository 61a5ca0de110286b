"""The server of a system that runs, its clock and archives, and those of a stopped system."""

from __future__ import annotations

import time
from collections.abc import Iterator

from mm.doctor.archives import archive
from mm.doctor.finding import Finding, Verdict, look
from mm.errors import MMError, NoRoom, NotRunning
from mm.facts import stoppages_now
from mm.host import System, logs_of, reading
from mm.instant import timestamp
from mm.store import Scripts, accepts, partitions_of, read_config, read_raw, server_info

#: A clock that differs by so many ms from the server's is worth a look.
CLOCK_MS = 1_000


def running(system: System) -> Iterator[Finding]:
    """What there is of the server, or else of what it has left."""
    try:
        scripts = system.scripts()
    except NotRunning:
        yield Finding("server", "ok", "none runs there now")
        yield from _stopped(system)
        return
    except MMError as error:
        yield Finding("server", "wrong", str(error), "see the log of the server, and `mm status`")
        return
    try:
        yield from _server(system, scripts)
    except MMError as error:
        yield Finding("server", "wrong", str(error), "see `mm status`")
    finally:
        scripts.client.close()


def _stopped(system: System) -> Iterator[Finding]:
    logs = logs_of(system.data_dir)
    newest = max((path.stat().st_mtime for path in logs), default=0.0)
    yield from _clock(int(newest * 1000), int(time.time() * 1000), "the log was written")
    if not logs:
        return
    try:
        with reading(system) as scripts:
            for one in partitions_of(scripts):
                # Before the first start of a system, and in an old one, there is none.
                if one.archive_state().file:
                    yield from archive(one, read_raw(one))
    except NoRoom as error:
        yield Finding("archive", "look", str(error), "its archive was not looked at")
    except MMError as error:
        yield Finding("log", "wrong", str(error), "restore a backup with `mm restore`")


def _server(system: System, scripts: Scripts) -> Iterator[Finding]:
    config = read_config(scripts)
    accepted = system.durability or (config.durability if config else "always")
    stopped = stoppages_now(scripts)
    for one in partitions_of(scripts):
        name = "server" if one.keys == scripts.keys else f"server of {one.keys.prefix}"
        info = server_info(one.client)
        weak = ", ".join(info.weak)
        if info.refusals:
            yield Finding(name, "wrong", "; ".join(info.refusals.values()), "see `mm status`")
        elif not weak:
            words = f"{info.name} {info.version}, each acknowledged write is on disk"
            yield Finding(name, "ok", words)
        else:
            verdict: Verdict = "look" if accepts(info, accepted) else "wrong"
            todo = "an acknowledged write may be lost: restart it with `mm up`, or set them back"
            yield Finding(name, verdict, f"{info.name} {info.version}: {weak}", todo)
        raw = read_raw(one)
        local_ms = int(time.time() * 1000)
        yield look(
            f"clock of the {name}",
            abs(raw.now_ms - local_ms) <= CLOCK_MS,
            f"{timestamp(raw.now_ms)}, {raw.now_ms - local_ms:+,} ms from this machine's",
            "times on the screens are the server's: let NTP set both clocks",
        )
        newest = max(int(stream.last_id.partition("-")[0]) for stream in raw.streams.values())
        yield from _clock(newest, raw.now_ms, "the newest record was written")
        yield from archive(one, raw, stopped)


def _clock(last_ms: int, now_ms: int, what: str) -> Iterator[Finding]:
    """Whether the clock has gone back behind what it has stamped."""
    if last_ms:
        yield look(
            "clock steps",
            last_ms <= now_ms + CLOCK_MS,
            f"{what} at {timestamp(last_ms)}, now it is {timestamp(now_ms)}",
            "the clock was set back: quotes live longer by that, and nothing else. Set it right",
        )
