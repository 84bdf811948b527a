"""Who may ask: the token, the hosts and origins that are this page's own, and the headers that keep it so."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Guard"]

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class Guard:
    """Rules of one server.

    Attributes
    ----------
    token : secret that every question carries
    host : address that the server is bound to
    port : its port
    framed : whether a notebook may show the page inside its own
    """

    token: str
    host: str
    port: int
    framed: bool = False

    def refusal(self, headers: Mapping[str, str], token: str, *, needs_token: bool) -> str | None:
        """Why a question is refused, in a sentence; None where it may be answered.

        Parameters
        ----------
        headers : Host, and where the browser sends them Origin
        token : that came with the question
        needs_token : false for the page's own programs, which hold no secret
        """
        host = headers.get("Host") or ""
        if not self._known_host(host):
            return f"this server is not {host[:80]!r}; use the address that it printed"
        origin = headers.get("Origin")
        if origin is not None and origin != f"http://{host}":
            return "questions from other pages are refused; open the address that the explorer printed"
        if needs_token and not hmac.compare_digest(token.encode(), self.token.encode()):
            return "the token is missing or wrong; open the address that the explorer printed, with its token"
        return None

    def _known_host(self, host: str) -> bool:
        name, _, port = host.rpartition(":")
        if port != str(self.port):
            return False
        if name in LOOPBACK or name == self.host:
            return True
        if self.host not in ("0.0.0.0", "::"):
            return False
        return name == socket.gethostname() or _is_address(name.strip("[]"))

    def headers(self) -> dict[str, str]:
        """Security headers of every answer."""
        frames = "http://127.0.0.1:* http://localhost:* 'self'" if self.framed else "'none'"
        policy = {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self' data: blob:",
            "connect-src": "'self'",
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": frames,
        }
        found = {
            "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
            "Cache-Control": "no-store",
        }
        return found if self.framed else found | {"X-Frame-Options": "DENY"}


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
