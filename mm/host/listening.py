"""Where a managed server listens beside its Unix socket, and how it keeps strangers out."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from mm.errors import UsageError, ValueRefused, shown_path

#: What a directory of certificates must hold: those of the authority and of the server, and the
#: server's key.
AUTHORITY, CERTIFICATE, KEY = "ca.crt", "server.crt", "server.key"


def check_certificates(directory: Path, *names: str) -> None:
    """UsageError when a file is missing, or when others than its owner can read the key."""
    where = shown_path(directory)
    for name in names:
        if not (directory / name).is_file():
            raise UsageError(f"--tls {where}: it must hold the file {name}")
    if (directory / KEY).stat().st_mode & 0o077:
        raise UsageError(
            f"--tls {where}: others can read {KEY}. Only its owner may: chmod 600 {KEY}"
        )


@dataclass(frozen=True)
class Listening:
    """A TCP address and port; ``certificates`` is a directory for TLS, None without it.

    With TLS each client must show a certificate of the same authority, and log in besides. Without
    it a password would cross the wire in clear, so only a loopback address is taken.
    """

    host: str
    port: int
    certificates: Path | None = None

    def __post_init__(self) -> None:
        if self.certificates is None:
            if not self.is_loopback:
                raise UsageError(
                    f"--listen {self.host}:{self.port}: without --tls passwords would cross the"
                    " network in clear, so it must be a loopback address such as 127.0.0.1"
                )
            return
        check_certificates(self.certificates, AUTHORITY, CERTIFICATE, KEY)

    @classmethod
    def parse(cls, text: str, certificates: Path | None) -> Listening:
        """Read ``ADDRESS:PORT``; ValueRefused when it is none, UsageError as for the class."""
        found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[0-9.]+):([0-9]{1,5})", text)
        if found is None or not 1 <= int(found[2]) <= 65_535:
            raise ValueRefused(
                f"--listen {text!r}: it must be an IP address and a port from 1 to 65535, such as"
                " 127.0.0.1:6380 or [::1]:6380"
            )
        host = found[1].strip("[]")
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ValueRefused(f"--listen {text!r}: {host} is not an IP address") from None
        return cls(host, int(found[2]), certificates)

    @property
    def is_loopback(self) -> bool:
        """Whether only programs of this machine can connect."""
        return ipaddress.ip_address(self.host).is_loopback

    def settings(self) -> list[tuple[str, str | Path]]:
        """The settings of the server, each with its value."""
        if self.certificates is None:
            return [("bind", self.host), ("port", str(self.port))]
        files = self.certificates.absolute()
        return [
            ("bind", self.host),
            ("port", "0"),
            ("tls-port", str(self.port)),
            ("tls-ca-cert-file", files / AUTHORITY),
            ("tls-cert-file", files / CERTIFICATE),
            ("tls-key-file", files / KEY),
            ("tls-auth-clients", "yes"),
        ]

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        how = "without TLS" if self.certificates is None else "with TLS and client certificates"
        return f"{host}:{self.port}, {how}"
