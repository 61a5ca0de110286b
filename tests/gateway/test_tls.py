"""The gateway with TLS: page, orders and streams, and certificates that do not do."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from tests.gateway.served import CLIENT, HANG_S, Market, facts_of, process
from tests.kit.certificates import make_certificates
from tests.kit.commands import run_mm

pytestmark = [pytest.mark.server, pytest.mark.slow]


def test_everything_goes_over_tls(quoting: Market, tmp_path: Path) -> None:
    """Page, session, orders and reports; who speaks without TLS, or trusts nobody, gets nothing."""
    make_certificates(tmp_path / "tls")
    named = ("--client", CLIENT)
    with process(quoting, *named, certificates=tmp_path / "tls") as (running, served):
        assert served.url.startswith("https://127.0.0.1:")
        with served.as_() as client:
            assert client.get("/").status_code == 200
            body, own = {"token": served.token("viewer")}, {"Origin": served.url}
            answer = client.post("/session", json=body, headers=own)
            assert answer.status_code == 200
            assert "Secure" in answer.headers["set-cookie"]
            assert client.get("/api/status").status_code == 200
        with served.as_(f"client-{CLIENT}") as client:
            served.answered(client, "by-tls")
        with served.events(f"client-{CLIENT}", "/orders/reports", "0-0") as events:
            assert "by-tls" in (facts_of(event).get("order_id") for event in events)
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(served.url, trust_env=False)
        with pytest.raises(httpx.HTTPError):
            httpx.get(served.url.replace("https", "http"), trust_env=False, timeout=HANG_S)
        # Somebody who connects and says nothing holds up nobody.
        with (
            socket.create_connection(("127.0.0.1", served.port)),
            served.as_("viewer") as client,
        ):
            assert client.get("/api/status").status_code == 200
        running.terminate()
        assert running.wait(HANG_S) == 0


def encrypt(key: Path) -> None:
    """Put a passphrase on the key."""
    made = serialization.load_pem_private_key(key.read_bytes(), None)
    how = serialization.BestAvailableEncryption(b"a passphrase")
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key.write_bytes(made.private_bytes(pem, form, how))


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "no key": (lambda at: (at / "server.key").unlink(), "it must hold the file server.key"),
    "an open key": (lambda at: (at / "server.key").chmod(0o644), "others can read server.key"),
    "rubbish": (lambda at: (at / "server.crt").write_text("x"), "server.crt and server.key"),
    "a passphrase": (lambda at: encrypt(at / "server.key"), "without a passphrase"),
    "another's key": (
        lambda at: trustme.CA().private_key_pem.write_to_path(at / "server.key"),
        "server.crt and server.key",
    ),
}


@pytest.mark.parametrize("spoil", SPOILT)
def test_certificates_that_do_not_do(tmp_path: Path, spoil: str) -> None:
    """Each is refused at once, with what is wrong and where, and no token is made."""
    make_certificates(tmp_path / "tls")
    change, words = SPOILT[spoil]
    change(tmp_path / "tls")
    where = ("--listen", "127.0.0.1:0", "--tls", str(tmp_path / "tls"))
    done = run_mm("serve", *where, data_dir=tmp_path / "d")
    assert done.returncode == 2, done.stderr
    assert words in done.stderr and str(tmp_path / "tls") in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "d").exists()
