"""Certificates of an authority that lives as long as a test."""

from __future__ import annotations

from pathlib import Path

import trustme


def make_certificates(directory: Path) -> trustme.CA:
    """The authority; the new directory has its certificate, and the server's with its key."""
    directory.mkdir()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.crt")
    server = authority.issue_cert("127.0.0.1")
    server.cert_chain_pems[0].write_to_path(directory / "server.crt")
    server.private_key_pem.write_to_path(directory / "server.key")
    (directory / "server.key").chmod(0o600)
    return authority
