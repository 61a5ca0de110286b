"""``mm serve`` as a command: what it needs, where it listens, how it starts and ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from mm.cli.main import main
from mm.errors import Unavailable, UsageError, ValueRefused
from mm.host import ServeAddress
from tests.kit import free_port, wait_for
from tests.kit.answers import assert_words, run
from tests.kit.commands import MM, loaded_after
from tests.kit.running import RunningSystem


def test_the_base_needs_no_extra() -> None:
    """Neither the command line nor the help of the command loads the libraries of the extra."""
    loaded = loaded_after("import mm.cli.main, mm.cli.serve, mm.cli.up")
    assert loaded.isdisjoint({"starlette", "uvicorn", "mm.gateway"})


@pytest.mark.parametrize("words", [["serve"], ["up", "--serve"]])
def test_without_the_extra(
    words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Without the extra the error names it, with exit status 2, and nothing is made."""
    monkeypatch.setattr("mm.host.serving._NEEDED", ("no_such_package", "os", "nor_this"))
    with pytest.raises(SystemExit) as ended:
        main.main([*words, "--data-dir", str(tmp_path / "d")])
    assert ended.value.code == 2
    way = "install the package with its extra `serve`: pip install '.[serve]' in its checkout"
    assert f"the gateway needs no_such_package and nor_this: {way}" in capsys.readouterr().err
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    "text",
    ["", "x", "localhost:80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "1.2.3:80", "[::1:80",
     "127.0.0.1:80/", "127.0.0.1:-1"],
)  # fmt: skip
def test_a_bad_address(text: str) -> None:
    """What is no address and port is named."""
    with pytest.raises(ValueRefused, match="IP address and a port"):
        ServeAddress.parse(text)


def test_other_machines_need_tls_or_a_word(tmp_path: Path) -> None:
    """Another address than a loopback one is taken only when somebody says how tokens are safe."""
    for text in ("0.0.0.0:80", "10.0.0.5:80", "[::]:80"):
        with pytest.raises(UsageError, match="in clear"):
            ServeAddress.parse(text)
        assert ServeAddress.parse(text, plain=True).port == 80
    with pytest.raises(UsageError, match=r"server\.crt"):
        ServeAddress.parse("10.0.0.5:80", tmp_path)
    assert ServeAddress.parse("[::1]:80").url() == "http://[::1]:80/"


def test_a_port_that_is_taken() -> None:
    """A port in use is an error in words, before anything starts."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = ServeAddress.parse(f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(Unavailable, match="Name another port"):
            address.check_free()
    with pytest.raises(ValueRefused, match="name a port"):
        ServeAddress.parse("127.0.0.1:0").check_free()


def test_nothing_runs(tmp_path: Path) -> None:
    """Where nothing has ever run the command says so, and makes nothing."""
    answer = run("serve", "--data-dir", str(tmp_path / "none"))
    assert_words(answer, 1)
    assert "mm up" in answer.text
    assert not (tmp_path / "none").exists()
    assert_words(run("serve", "--client", "a b", "--data-dir", str(tmp_path / "none")), 2)


def answer_of(url: str, token: str = "") -> int:
    """The status of an answer, 0 without one."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@pytest.mark.server
@pytest.mark.slow
def test_beside_the_rest(system: RunningSystem) -> None:
    """`mm up --serve` says where it is, restarts it when it dies, and counts it as no process."""
    port = free_port()
    system.start("--serve", f"127.0.0.1:{port}")
    url = f"http://127.0.0.1:{port}"
    wait_for("the page", lambda: answer_of(url) == 200, 30)
    token = (system.data_dir / "tokens" / "viewer").read_text().strip()
    assert answer_of(f"{url}/api/status", token) == 200
    assert answer_of(f"{url}/api/status", "0" * 64) == 401
    system.all_live()
    assert "serve" not in json.dumps(system.status()["processes"])
    (pid,) = served_by(system.data_dir)
    os.kill(pid, signal.SIGKILL)
    wait_for("another process", lambda: served_by(system.data_dir) not in ([], [pid]), 30)
    wait_for("the page again", lambda: answer_of(f"{url}/api/status", token) == 200, 30)
    status, output = system.stop()
    assert status == 0, output
    assert f"page and API at {url}/" in output and token not in output
    assert served_by(system.data_dir) == []


def served_by(data_dir: Path) -> list[int]:
    """The pids of the gateways of a data directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_text(errors="replace").split("\0")
        except OSError:
            continue
        if "serve" in words and "--listen" in words and str(data_dir) in words:
            found.append(int(path.parent.name))
    return found


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_waits_for_a_server(number: signal.Signals, tmp_path: Path) -> None:
    """Without a server it answers 503 in words, and a signal ends it in order."""
    url = f"unix://{tmp_path}/none.sock"
    words = [*MM, "serve", "--listen", "127.0.0.1:0", "--redis-url", url]
    with subprocess.Popen(
        [*words, "--data-dir", str(tmp_path / "d")], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            found = re.search(r"http://\S+?/", process.stderr.readline())
            assert found is not None
            token = (tmp_path / "d" / "tokens" / "viewer").read_text().strip()
            assert answer_of(f"{found[0]}api/status", token) == 503
            process.send_signal(number)
            assert process.wait(30) == 0
            assert number.name in process.stderr.read()
        finally:
            process.kill()
