"""A server of its own for the explorer: real Lua 5.1, and the few commands that the scripts use.

A :class:`Db` is never changed once a call has ended: a call copies what it writes, so that keeping
an old state costs nothing. A command or an option that is not here is an error, never ignored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from redis.exceptions import NoScriptError, ResponseError

from tests.hunts.explorer.db import (
    Db,
    Entry,
    Stream,
    entries_reply,
    flattened,
    raw_reply,
    stream_id,
    within,
)

_HARNESS = """
local flat, scalar, streams = ...
local unpack, setfenv, loadstring, error, type = unpack, setfenv, loadstring, error, type
local function entries(...)
  local flat, list, at = { ... }, {}, 1
  while flat[at] do
    local fields, size = {}, flat[at + 1]
    for i = 1, size do fields[i] = flat[at + 1 + i] end
    list[#list + 1] = { flat[at], fields }
    at = at + 2 + size
  end
  return list
end
local redis = {}
function redis.call(name, ...)
  local command = scalar[name]
  if command then return command(...) end
  command = flat[name]
  if command then return { command(...) } end
  command = streams[name]
  if command then return entries(command(...)) end
  error('no such command in the table: ' .. name)
end
function redis.error_reply(text) return { err = text } end
local known = { redis = redis, string = string, table = table, math = math, tonumber = tonumber,
  tostring = tostring, ipairs = ipairs, pairs = pairs, unpack = unpack, type = type }
local guard = { __index = known, __newindex = function(_, name) error('a global: ' .. name) end }
local environment = setmetatable({}, guard)
local function load(text)
  local script, why = loadstring(text)
  if not script then error(why) end
  setfenv(script, environment)
  return script
end
local function run(script, count, ...)
  local words, keys, args = { ... }, {}, {}
  for i = 1, count do keys[i] = words[i] end
  for i = count + 1, #words do args[i - count] = words[i] end
  known.KEYS, known.ARGV = keys, args
  return script()
end
return load, run
"""


def _word(value: Any) -> str:
    # Lua hands over whole numbers as int; a fraction has no business in a key.
    assert isinstance(value, (str, int)), value
    return str(value)


class Table:
    """Runs commands and scripts, each on a given :class:`Db` at a given instant."""

    def __init__(self) -> None:
        lua = import_module("lupa.lua51")
        runtime = lua.LuaRuntime(
            encoding="latin-1", unpack_returned_tuples=True, register_eval=False
        )
        self._lua_type: Callable[[Any], str | None] = lua.lua_type
        self._scripts: dict[str, tuple[Any, bool]] = {}
        self._db = Db(0)
        self._own: set[str] | None = None
        self._read_only = False
        scalar = {
            "HGET": lambda key, name: self._read(key, {}).get(name, False),
            "HSET": self._hset,
            "HSETNX": self._hsetnx,
            "HINCRBY": self._hincrby,
            "HDEL": self._hdel,
            "EXISTS": lambda *keys: sum(self._read(key, None) is not None for key in keys),
            "DEL": self._delete,
            "PEXPIRE": lambda key, ms: self._pexpireat(key, self._db.now + int(ms)),
            "PEXPIREAT": self._pexpireat,
            "RPUSH": self._rpush,
            "LPOP": self._lpop,
            "LINDEX": self._lindex,
            "XADD": self._xadd,
            "XTRIM": self._xtrim,
            "XDEL": self._xdel,
            "XLEN": lambda key: len(self._read(key, ())),
            "ZADD": self._zadd,
            "ZREM": self._zrem,
            "ZSCORE": self._zscore,
            "ZREMRANGEBYSCORE": self._zremrangebyscore,
            "INFO": lambda section: f"master_replid:{self._db.history}",
        }
        flat = {
            "TIME": lambda: (str(self._db.now // 1000), str(self._db.now % 1000 * 1000)),
            "HMGET": self._hmget,
            "HGETALL": lambda key: tuple(w for p in self._read(key, {}).items() for w in p),
            "ZRANGE": self._zrange,
            "ZRANGEBYSCORE": self._zrangebyscore,
        }
        streams = {
            "XRANGE": lambda *words: flattened(self._xrange(*words)),
            "XREVRANGE": lambda *words: flattened(self._xrevrange(*words)),
        }
        harness = runtime.eval(f"function(...) {_HARNESS} end")
        self._load, self._run = harness(*map(runtime.table_from, (flat, scalar, streams)))

    # scripts

    def load(self, source: str) -> str:
        """Compile a script as SCRIPT LOAD does, its ``#!lua`` line aside; its SHA-1.

        ``Db.loaded`` has the scripts that a server knows.
        """
        digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
        shebang, _, rest = source.partition("\n")
        assert shebang.startswith("#!lua"), shebang
        if digest not in self._scripts:
            # The line stays as an empty one, so that Lua's line numbers are those of the file.
            self._scripts[digest] = (self._load("\n" + rest), "no-writes" in shebang)
        return digest

    def run(self, db: Db, words: Sequence[Any]) -> tuple[Any, Db]:
        """Run one command of a client: its reply in redis-py's shape, and the server after it.

        An error reply is returned, not raised. Text in a script's reply is ``str``.
        """
        self._db, self._own, self._read_only = db, None, False
        name, *rest = words
        if name in ("EVALSHA", "EVALSHA_RO"):
            return self._evalsha(*rest), self._db
        if name == "SCRIPT LOAD":
            return None, db.knowing(db.loaded | {self.load(rest[0])})
        return self._command(name, rest), self._db

    def _evalsha(self, digest: str, count: int, *rest: Any) -> Any:
        if digest not in self._db.loaded:
            return NoScriptError("No matching script.")
        script, self._read_only = self._scripts[digest]
        return self._plain(self._run(script, count, *map(_word, rest)))

    def _plain(self, value: Any) -> Any:
        if value is None or value is False:
            return None
        if self._lua_type(value) != "table":
            return int(value) if isinstance(value, float) else value
        if value["err"] is not None:
            return ResponseError(value["err"])
        return [self._plain(one) for one in value.values()]

    # plain commands

    def _command(self, name: str, rest: list[Any]) -> Any:
        if name == "XADD":
            return self._xadd(*rest).encode()
        if name == "XREVRANGE":
            return entries_reply(self._xrevrange(*rest))
        if name == "XREAD":
            return self._xread(rest)
        if name == "HSET":
            return self._hset(*rest)
        if name == "HGETALL":
            found = self._read(rest[0], {})
            return {field.encode(): value.encode() for field, value in found.items()}
        raise AssertionError(f"no such command in the table: {name}")

    def _xread(self, rest: list[Any]) -> list[Any]:
        # A blocking read that finds nothing ends at once: time passes by its own action only.
        count = rest[rest.index("COUNT") + 1]
        names = rest[rest.index("STREAMS") + 1 :]
        keys, after = names[: len(names) // 2], names[len(names) // 2 :]
        found = []
        for key, cursor in zip(keys, after, strict=True):
            if entries := self._xrange(key, f"({cursor}", "+", "COUNT", count):
                found.append([key.encode(), raw_reply(entries)])
        return found

    # reading and copying

    def _read(self, key: str, absent: Any) -> Any:
        return self._db.get(key, absent)

    def _write(self, key: str, make: Callable[[Any], Any]) -> Any:
        """The key's value for writing: ``make(old)`` copies it once a call."""
        if self._own is None:
            assert not self._read_only, f"a script that declares no-writes writes {key}"
            self._db, self._own = self._db.copied(), set()
        if self._db.now > self._db.expires.get(key, self._db.now):
            del self._db.keys[key], self._db.expires[key]
        if key not in self._own:
            self._own.add(key)
            self._db.keys[key] = make(self._db.keys.get(key, ()))
        return self._db.keys[key]

    def _drop(self, key: str) -> None:
        self._write(key, lambda old: old)
        assert self._own is not None
        self._own.discard(key)
        self._db.keys.pop(key, None)
        self._db.expires.pop(key, None)

    def _delete(self, *keys: str) -> int:
        count = 0
        for key in keys:
            if self._read(key, None) is not None:
                count += 1
                self._drop(key)
        return count

    def _pexpireat(self, key: str, instant: int | str) -> int:
        if self._read(key, None) is None:
            return 0
        self._write(key, _same)
        self._db.expires[key] = int(instant)
        return 1

    # hashes

    def _hmget(self, key: str, *names: str) -> tuple[Any, ...]:
        found = self._read(key, {})
        return tuple([found.get(name, False) for name in names])

    def _hset(self, key: str, *words: Any) -> int:
        stored, new = self._write(key, dict), 0
        for i in range(0, len(words), 2):
            new += words[i] not in stored
            stored[words[i]] = _word(words[i + 1])
        return new

    def _hsetnx(self, key: str, name: str, value: Any) -> int:
        return 0 if name in self._read(key, {}) else self._hset(key, name, value)

    def _hdel(self, key: str, *names: str) -> int:
        stored = self._write(key, dict)
        return sum(stored.pop(name, None) is not None for name in names)

    def _hincrby(self, key: str, name: str, by: int | str) -> int:
        stored = self._write(key, dict)
        value = int(stored.get(name, "0")) + int(by)
        stored[name] = str(value)
        return value

    # lists

    def _rpush(self, key: str, value: str) -> int:
        old = self._write(key, _same)
        self._db.keys[key] = (*old, _word(value))
        return len(old) + 1

    def _lpop(self, key: str) -> str:
        first, *rest = self._write(key, _same)
        self._db.keys[key] = tuple(rest)
        if not rest:
            self._drop(key)
        return str(first)

    def _lindex(self, key: str, index: int) -> str | bool:
        stored = self._read(key, ())
        return stored[index] if stored else False

    # sorted sets

    def _ranked(self, key: str) -> list[tuple[int, str]]:
        return sorted((score, member) for member, score in self._read(key, {}).items())

    def _zadd(self, key: str, score: int | str, member: str) -> int:
        stored = self._write(key, dict)
        new = member not in stored
        stored[member] = int(score)
        return int(new)

    def _zrem(self, key: str, member: str) -> int:
        if member not in self._read(key, {}):
            return 0
        stored = self._write(key, dict)
        del stored[member]
        if not stored:
            self._drop(key)
        return 1

    def _zscore(self, key: str, member: str) -> str | bool:
        score = self._read(key, {}).get(member)
        return False if score is None else str(score)

    def _zrange(self, key: str, start: int, stop: int, *options: str) -> tuple[str, ...]:
        ranked = self._ranked(key)
        chosen = ranked[start : len(ranked) if stop == -1 else stop + 1]
        assert options in ((), ("WITHSCORES",)), options
        if options:
            return tuple(word for score, member in chosen for word in (member, str(score)))
        return tuple(member for _, member in chosen)

    def _zrangebyscore(self, key: str, low: str, high: str, *options: Any) -> tuple[str, ...]:
        least = -(2**60) if low == "-inf" else int(low)
        greatest = 2**60 if high == "+inf" else int(high)
        found = [member for score, member in self._ranked(key) if least <= score <= greatest]
        if options:
            assert options[:2] == ("LIMIT", 0), options
            found = found[: int(options[2])]
        return tuple(found)

    def _zremrangebyscore(self, key: str, low: str, high: str) -> int:
        return sum(self._zrem(key, member) for member in self._zrangebyscore(key, low, high))

    # streams

    def _xadd(self, key: str, *words: Any) -> str:
        if words[0] == "MAXLEN":
            # Real servers trim "~" by whole nodes of 100 entries: never below what is kept.
            assert words[1] == "~", words
            assert len(self._read(key, ())) < int(words[2]), f"{key} would be trimmed"
            words = words[3:]
        assert words[0] == "*", words
        assert len(words) > 1, words
        assert len(words) % 2 == 1, words
        old = self._write(key, _same)
        last = self._db.ids.get(key, (0, 0))
        now = self._db.now
        new = (now, 0) if now > last[0] else (last[0], last[1] + 1)
        self._db.ids[key] = new
        name = f"{new[0]}-{new[1]}"
        self._db.keys[key] = (*old, (name, tuple(map(_word, words[1:]))))
        return name

    def _xtrim(self, key: str, kind: str, how: str, least: str) -> int:
        assert kind == "MINID", kind
        if how == "~":
            assert least == "0-0", "the table trims exactly"
            return 0
        old = self._write(key, _same)
        self._db.keys[key] = tuple(one for one in old if stream_id(one[0]) >= stream_id(least))
        return len(old) - len(self._db.keys[key])

    def _xdel(self, key: str, *names: str) -> int:
        old = self._write(key, _same)
        self._db.keys[key] = tuple(entry for entry in old if entry[0] not in names)
        return len(old) - len(self._db.keys[key])

    def _xrange(self, key: str, low: str, high: str, *options: Any) -> list[Entry]:
        stream: Stream = self._read(key, ())
        if stream and low[0] == "(" and stream[-1][0] == low[1:]:
            return []  # nothing after the cursor, the usual case
        found = [entry for entry in stream if within(stream_id(entry[0]), low, high)]
        return found[: int(options[1])] if options else found

    def _xrevrange(self, key: str, high: str, low: str, *options: Any) -> list[Entry]:
        found = self._xrange(key, low, high)[::-1]
        return found[: int(options[1])] if options else found


def _same(value: Any) -> Any:
    return value
