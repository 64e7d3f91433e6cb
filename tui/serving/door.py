"""Who may come in: whoever has the address of this start, from a page of this very server. Pure.

Whoever can open a page can order agents about, and so run programs as this user. So nothing is shown without
the token, neither a page nor a file nor a socket, and other sites are kept from using a browser that has it:
- a site whose name is made to point here (DNS rebinding) is known by its Host header, which must be an
  address or a name of this machine;
- a page of another origin that opens a socket is known by its Origin header, which must be ours;
- a cookie is sent to every port of a host, so ours is bound to a path that is made up anew at each start: no
  other server on this machine, say one that an agent runs, is ever sent it."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

COOKIE = "hhmrs"
NOT_YOURS = (
    "This page is not open to you: it needs the whole address that `hhmrs serve` printed at its start.\n"
    "Each start has an address of its own. Look at the terminal it runs in, or start it anew.\n"
)
NOT_HERE = (
    "This server was called by a name that is not its own ({host}); another site may have it point here.\n"
    "Use the address that `hhmrs serve` printed.\n"
)
NOT_FROM_THERE = (
    "A page of another site ({origin}) asked for this. Open the address that `hhmrs serve` printed.\n"
)


def _made_up() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True)
class Door:
    """The secrets of one start. `room`: the first part of every path; `token`: what stands in the printed
    address; `key`: what the browser keeps instead. `names`: names of this machine that may be called, beside
    the loopback's; `open_wide`: listens beyond the loopback, so that any address may be called."""

    room: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    token: str = field(default_factory=_made_up)
    key: str = field(default_factory=_made_up)
    names: frozenset[str] = frozenset()
    open_wide: bool = False

    @property
    def path(self) -> str:
        return f"/{self.room}/"

    def why_not(self, headers: Mapping[str, str]) -> str | None:
        """Why a request with these headers is refused whatever token it has; None when it is not."""
        host = headers.get("Host", "")
        if not self._is_ours(host):
            return NOT_HERE.format(host=_shown(host) or "none")
        origin = headers.get("Origin")
        if origin is not None and _authority(origin) != host.lower():
            return NOT_FROM_THERE.format(origin=_shown(origin))
        return None

    def knows_token(self, given: str) -> bool:
        return _equal(given, self.token)

    def knows_key(self, given: str) -> bool:
        return _equal(given, self.key)

    def _is_ours(self, host: str) -> bool:
        name = _name(host)
        if name is None:
            return False
        if name == "localhost" or name in self.names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        # An address cannot be made to point elsewhere, as a name can.
        return address.is_loopback or self.open_wide


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach what listens there."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _equal(given: str, secret: str) -> bool:
    """In a time that tells nothing of how much of it was right."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), secret.encode())


def _name(host: str) -> str | None:
    """The name in a Host header, without its port. The port may be any: a tunnel has its own."""
    try:
        parts = urlsplit(f"//{host}")
        if parts.path or parts.query or parts.fragment or parts.username is not None:
            return None
        _ = parts.port
    except ValueError:
        return None
    return parts.hostname


def _authority(origin: str) -> str | None:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc.lower() if parts.scheme in ("http", "https") and not parts.path else None


def _shown(text: str) -> str:
    return "".join(ch for ch in text[:100] if ch.isprintable() and ch.isascii())
