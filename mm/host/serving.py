"""Where the gateway listens, and whether what it needs is installed."""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mm.errors import ExtraMissing, Unavailable, UsageError, ValueRefused, shown_path
from mm.host.datadir import DataDir
from mm.host.listening import CERTIFICATE, KEY, check_certificates

DEFAULT_ADDRESS = "127.0.0.1:8080"
#: The libraries of the extra, as they are imported.
_NEEDED = ("starlette", "uvicorn", "prometheus_client")


def check_serve_extra() -> None:
    """ExtraMissing when the extra `serve` is not installed."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ExtraMissing("the gateway", " and ".join(missing), "serve")


def tokens_directory(data_dir: DataDir) -> Path:
    """Where the tokens of a gateway are, a file for each."""
    return data_dir.path / "tokens"


def gateway_words(listen: str, data_dir: DataDir) -> str:
    """Where a gateway is, and its tokens, in words."""
    where = shown_path(tokens_directory(data_dir))
    return f"page and API at {ServeAddress.parse(listen).url()}; tokens in {where}"


@dataclass(frozen=True)
class ServeAddress:
    """An address and port for HTTP; ``certificates`` is a directory for TLS, None without it.

    Another address than a loopback one must have TLS, or somebody must say that a proxy has it:
    tokens would cross the network in clear. Port 0 is any free one.
    """

    host: str
    port: int
    certificates: Path | None = None

    @classmethod
    def parse(
        cls, text: str, certificates: Path | None = None, plain: bool = False
    ) -> ServeAddress:
        """Read ``ADDRESS:PORT``; ValueRefused when it is none, UsageError without usable TLS."""
        found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[0-9.]+):([0-9]{1,5})", text)
        host = found[1].strip("[]") if found else ""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            address = None
        if found is None or address is None or int(found[2]) > 65_535:
            raise ValueRefused(
                f"address {text!r}: it must be an IP address and a port up to 65535, such as"
                f" {DEFAULT_ADDRESS}"
            )
        if not address.is_loopback and certificates is None and not plain:
            raise UsageError(
                f"address {text}: without TLS tokens would cross the network in clear. Give --tls"
                " with a directory of certificates, or --plain where a proxy has TLS"
            )
        made = cls(host, int(found[2]), certificates)
        made.tls()
        return made

    def tls(self) -> ssl.SSLContext | None:
        """What speaks TLS, None without certificates; UsageError when they do not do."""
        if self.certificates is None:
            return None
        check_certificates(self.certificates, CERTIFICATE, KEY)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # With a passphrase here nobody is asked for one on the terminal.
            context.load_cert_chain(
                self.certificates / CERTIFICATE, self.certificates / KEY, password=""
            )
        except OSError as error:
            raise UsageError(
                f"--tls {shown_path(self.certificates)}: {CERTIFICATE} and {KEY} must be a"
                " certificate in PEM and its key, without a passphrase, that this user may read:"
                f" {error.strerror or error}"
            ) from error
        return context

    def listener(self) -> socket.socket:
        """A socket that is bound to it; Unavailable when that cannot be."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        # asyncio switches the delay of small answers (40 ms) off only where the protocol is named.
        found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind((self.host, self.port))
        except OSError as error:
            found.close()
            raise Unavailable(
                f"{self}: cannot listen there: {error.strerror or error}. Name another port"
            ) from error
        return found

    def check_free(self) -> None:
        """ValueRefused for port 0, which nobody would find; Unavailable as for a listener."""
        if not self.port:
            raise ValueRefused(f"address {self}: name a port, so that the page can be found")
        self.listener().close()

    def url(self, port: int | None = None) -> str:
        """The address as a browser takes it, with the port that was found for port 0."""
        scheme = "https" if self.certificates else "http"
        return f"{scheme}://{self._host}:{self.port if port is None else port}/"

    @property
    def _host(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    def __str__(self) -> str:
        return f"{self._host}:{self.port}"
