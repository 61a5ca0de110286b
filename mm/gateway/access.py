"""Who asks: a token from a program, a signed cookie from the page; and what each role may do.

A session of the page is its cookie alone: nothing of it is kept here, so it survives a restart. It
is signed with the token that began it, and ends when that token is another one.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from mm.gateway.answers import Refused

Role = Literal["viewer", "client", "operator"]
#: The files of the tokens of the viewer and the operator, and how those of clients begin.
VIEWER_FILE, OPERATOR_FILE, CLIENT_BEGIN = "viewer", "operator", "client-"
SESSION_HEADER = "x-session-token"
#: The methods that change nothing.
SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Caller:
    """Who asks: a role, and of a client its id. ``session`` is the page's word for its cookie."""

    role: Role
    client_id: str = ""
    session: str = ""


def token_file(client_id: str) -> str:
    """The name of the file that holds a client's token."""
    return f"{CLIENT_BEGIN}{client_id}"


class Access:
    """Knows the tokens by the names of their files. ``port`` keeps apart the cookies of a host."""

    def __init__(self, tokens: Mapping[str, str], port: int) -> None:
        self.cookie = f"mm_session_{port}"
        self._tokens = dict(tokens)
        self._digests = {name: _digest(token) for name, token in tokens.items()}

    def caller(self, request: Request) -> Caller:
        """Who asks. Refused (401) without a token or session that is known."""
        given = request.headers.get("authorization")
        if given is not None:
            scheme, _, token = given.partition(" ")
            found = self.of_token(token.strip()) if scheme.lower() == "bearer" else None
            if found is None:
                raise unauthorized("the token is not known")
            return found
        cookie = request.cookies.get(self.cookie)
        if cookie is None:
            raise unauthorized("a token is needed: Authorization: Bearer TOKEN")
        caller = self._of_cookie(cookie)
        if request.method not in SAFE:
            self._check_own_page(request, caller)
        return caller

    def of_token(self, token: str) -> Caller | None:
        """Whose token it is. Each known one is compared, in the same time whatever is given."""
        given, found = _digest(token), ""
        for name, digest in self._digests.items():
            if hmac.compare_digest(digest, given):
                found = name
        if not found:
            return None
        if found in (VIEWER_FILE, OPERATOR_FILE):
            return Caller("viewer" if found == VIEWER_FILE else "operator")
        return Caller("client", found.removeprefix(CLIENT_BEGIN))

    def begin(self, caller: Caller, response: Response, secure: bool) -> Caller:
        """Let the response carry a new session of the caller, who then has its word."""
        nonce = secrets.token_hex(16)
        value = f"{caller.role}.{nonce}.{self._signed('cookie', caller.role, nonce)}"
        response.set_cookie(self.cookie, value, httponly=True, samesite="strict", secure=secure)
        return Caller(caller.role, session=self._signed("page", caller.role, nonce))

    def end(self, response: Response) -> None:
        """Let the response end the session."""
        response.delete_cookie(self.cookie, httponly=True, samesite="strict")

    def _of_cookie(self, value: str) -> Caller:
        role, _, rest = value.partition(".")
        nonce, _, signature = rest.partition(".")
        for known in ("viewer", "operator"):
            if role == known and hmac.compare_digest(
                self._signed("cookie", known, nonce).encode(), signature.encode()
            ):
                # Of the two names of the loop each is a role.
                return Caller(
                    "viewer" if known == "viewer" else "operator",
                    session=self._signed("page", known, nonce),
                )
        raise unauthorized("the session is over: enter the token again")

    def _signed(self, what: str, role: str, nonce: str) -> str:
        key = self._tokens[OPERATOR_FILE if role == "operator" else VIEWER_FILE]
        return hmac.new(key.encode(), f"{what} {role} {nonce}".encode(), "sha256").hexdigest()

    def _check_own_page(self, request: Request, caller: Caller) -> None:
        """Refused (403) unless the page of this server asks, and knows the word of its session."""
        check_origin(request)
        given = request.headers.get(SESSION_HEADER, "")
        if not hmac.compare_digest(given.encode(), caller.session.encode()):
            raise Refused(403, "forbidden", f"the header {SESSION_HEADER} lacks the session's word")


def check_origin(request: Request) -> str:
    """The scheme of the page that asks; Refused (403) when it is another server's.

    Behind a proxy with TLS it is ``https``, whatever this server itself speaks.
    """
    origin, host = request.headers.get("origin"), request.headers.get("host", "")
    site = request.headers.get("sec-fetch-site", "same-origin")
    for scheme in ("http", "https"):
        if origin == f"{scheme}://{host}" and site == "same-origin":
            return scheme
    raise Refused(
        403,
        "forbidden",
        "another page than this server's asks: its Origin must be that of the header Host, which a"
        " proxy must pass on",
    )


def require(caller: Caller, *roles: Role) -> Caller:
    """The caller when it has one of the roles; Refused (403) for another."""
    if caller.role not in roles:
        raise Refused(
            403, "forbidden", f"the token of a {caller.role} is given; {' or '.join(roles)} may"
        )
    return caller


def unauthorized(words: str) -> Refused:
    """The refusal (401) of somebody who is not known."""
    return Refused(401, "unauthorized", words, headers={"WWW-Authenticate": "Bearer"})


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
