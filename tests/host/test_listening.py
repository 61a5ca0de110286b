"""Where a managed server may listen, and what the settings of its file say."""

from __future__ import annotations

from pathlib import Path

import pytest

from mm.errors import UsageError, ValueRefused
from mm.host import Listening
from tests.kit.commands import invoke


def certificates(directory: Path, *names: str) -> Path:
    """A directory with files of these names, which only their owner can read."""
    for name in names or ("ca.crt", "server.crt", "server.key"):
        (directory / name).write_text("x")
        (directory / name).chmod(0o600)
    return directory


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:6380", "127.0.0.1", 6380),
        ("[::1]:1", "::1", 1),
        ("127.9.9.9:65535", "127.9.9.9", 65535),
    ],
)
def test_loopback(text: str, host: str, port: int) -> None:
    """A loopback address is taken without TLS."""
    found = Listening.parse(text, None)
    assert (found.host, found.port) == (host, port)
    assert found.settings() == [("bind", host), ("port", str(port))]
    assert str(found) == f"{text}, without TLS"


@pytest.mark.parametrize(
    "text",
    [
        *("", "6380", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:x"),
        *("localhost:6380", "127.0.0.1:6380 ", "999.0.0.1:1", "::1:6380", "[1:6380"),
        "127.0.0.1:6380\nport 0",
    ],
)
def test_no_address(text: str) -> None:
    """Each is refused by its text, and nothing gets into the server's file."""
    with pytest.raises(ValueRefused, match="--listen"):
        Listening.parse(text, None)


@pytest.mark.parametrize("text", ["0.0.0.0:6380", "10.0.0.1:6380", "[::]:6380"])
def test_no_password_in_clear(text: str, tmp_path: Path) -> None:
    """An address that others reach needs TLS."""
    with pytest.raises(UsageError, match="without --tls passwords would cross the network"):
        Listening.parse(text, None)
    found = Listening.parse(text, certificates(tmp_path))
    assert ("port", "0") in found.settings()
    assert ("tls-auth-clients", "yes") in found.settings()
    assert ("tls-key-file", tmp_path / "server.key") in found.settings()
    assert str(found) == f"{text}, with TLS and client certificates"


@pytest.mark.parametrize("missing", ["ca.crt", "server.crt", "server.key"])
def test_a_missing_certificate(missing: str, tmp_path: Path) -> None:
    """It is named."""
    certificates(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(UsageError, match=f"it must hold the file {missing}"):
        Listening.parse("127.0.0.1:1", tmp_path)


def test_a_key_that_others_can_read(tmp_path: Path) -> None:
    """It is no secret, so it is refused."""
    certificates(tmp_path)
    (tmp_path / "server.key").chmod(0o640)
    with pytest.raises(UsageError, match=r"others can read server\.key"):
        Listening.parse("127.0.0.1:1", tmp_path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--listen", "10.0.0.1:6380"], "without --tls passwords would cross the network"),
        (["--listen", "x"], "it must be an IP address and a port"),
        (["--tls", "."], "--tls: it is for --listen"),
        (["--listen", "127.0.0.1:1", "--redis-url", "redis://localhost:1"], "the managed server"),
    ],
)
def test_options(words: list[str], said: str, tmp_path: Path) -> None:
    """Exit status 2, nothing is made."""
    done = invoke("up", "--data-dir", tmp_path / "d", *words)
    assert (done.exit_code, said in " ".join(done.stderr.split())) == (2, True), done.stderr
    assert not (tmp_path / "d").exists()
