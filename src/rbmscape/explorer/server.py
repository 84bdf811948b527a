"""The server: the page, its programs, and answers to its questions; it only reads."""

from __future__ import annotations

import atexit
import errno
import secrets
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from rbmscape.checks import is_whole
from rbmscape.errors import DiskError, InputError, RbmscapeError, RunNotFoundError
from rbmscape.explorer.cache import Cache, give_back_memory, share_memory
from rbmscape.explorer.catalogue import Catalogue
from rbmscape.explorer.encode import to_csv, to_json, to_netcdf, to_page
from rbmscape.explorer.frames import NotReadyError
from rbmscape.explorer.guard import Guard
from rbmscape.explorer.query import Query
from rbmscape.explorer.registry import find_view
from rbmscape.explorer.subject import Subject

__all__ = ["FIRST_PORT", "ExplorerServer"]

FIRST_PORT = 8765
PORTS_TRIED = 50
_PORTS = 2**16
CACHE_BYTES = 32_000_000
ANSWERS_AT_ONCE = 2  # that are computed; many at once take no less time, and the memory of all of them
KINDS = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "json": "application/json; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "nc": "application/x-netcdf",
}
WRITERS: dict[str, Callable[[Any], bytes]] = {"": to_page, "csv": to_csv, "nc": to_netcdf}


class ExplorerServer(ThreadingHTTPServer):
    """Answers on one port until it is closed.

    Parameters
    ----------
    catalogue : what is shown
    host : address to bind to
    port : the first port to try; the next free one is taken where it is in use
    framed : whether a notebook may show the page inside its own

    Raises
    ------
    InputError : no address or one that is not of this machine, no port, or no port is free
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, catalogue: Catalogue, host: str = "127.0.0.1", port: int = FIRST_PORT, framed: bool = False):
        if not host:
            raise InputError(f"host must be an address, found {host!r}; leave it out, or pass '0.0.0.0' for all")
        if not is_whole(port) or not 0 <= port < _PORTS:
            raise InputError(f"port must be a whole number from 0 to {_PORTS - 1}, found {port!r}; leave it out")
        self.catalogue = catalogue
        self.cache: Cache[bytes] = Cache(CACHE_BYTES, len)
        self.turns = threading.BoundedSemaphore(ANSWERS_AT_ONCE)
        self.asked_port = port
        if ":" in host:
            self.address_family = socket.AF_INET6
        for candidate in range(port, min(port + PORTS_TRIED, _PORTS)) if port else (0,):
            try:
                super().__init__((host, candidate), _Handler)
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise InputError(f"cannot listen on {host} ({error.strerror}); leave --host out") from error
            else:
                break
        else:
            raise InputError(f"no port from {port} to {port + PORTS_TRIED - 1} is free; choose one with --port")
        self.guard = Guard(secrets.token_urlsafe(24), host, self.server_address[1], framed)
        share_memory()
        catalogue.warm()

    @property
    def url(self) -> str:
        """Address of the page, with its token."""
        host = f"[{self.guard.host}]" if ":" in self.guard.host else self.guard.host
        shown = "127.0.0.1" if host in ("0.0.0.0", "[::]") else host
        return f"http://{shown}:{self.guard.port}/?token={self.guard.token}"

    def start(self) -> None:
        """Answer in the background."""
        atexit.register(self.close)
        threading.Thread(target=self.serve_forever, name="explorer server", daemon=True).start()

    def close(self) -> None:
        """Stop answering and computing."""
        atexit.unregister(self.close)
        self.shutdown()
        self.server_close()
        self.catalogue.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that break off are nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: ExplorerServer
    protocol_version = "HTTP/1.1"
    server_version = "rbmscape"
    sys_version = ""
    timeout = 60
    disable_nagle_algorithm = True
    wbufsize = -1
    pages: ClassVar[dict[str, bytes]] = {}

    def do_GET(self) -> None:
        """Answer a question, or say in a sentence why not."""
        try:
            status, kind, body = self._answer()
        except NotReadyError as wait:
            status, kind, body = HTTPStatus.ACCEPTED, "json", to_json({"wait": str(wait)})
        except RunNotFoundError as gone:
            words = f"{str(gone).partition(';')[0]}; it was deleted while it was looked at"
            status, kind, body = HTTPStatus.GONE, "json", to_json({"error": words})
        except DiskError as gone:
            status, kind, body = HTTPStatus.GONE, "json", to_json({"error": str(gone)})
        except RbmscapeError as error:
            status, kind, body = HTTPStatus.BAD_REQUEST, "json", to_json({"error": str(error)})
        except FileNotFoundError as error:
            body = to_json({"error": f"{error.filename} is gone; it was deleted while it was looked at"})
            status, kind = HTTPStatus.GONE, "json"
        except Exception as error:  # noqa: BLE001 - the page must go on; the message names the error
            words = f"the explorer made a mistake ({type(error).__name__}: {error}); reload, and report it"
            status, kind, body = HTTPStatus.INTERNAL_SERVER_ERROR, "json", to_json({"error": words})
        self._send(status, kind, body)

    do_HEAD = do_GET

    def _answer(self) -> tuple[int, str, bytes]:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        is_program = path.startswith("/static/")
        query = Query.parse(parts.query)
        token = self.headers.get("X-Rbmscape-Token") or query.get("token")
        refusal = self.server.guard.refusal(dict(self.headers), token, needs_token=not is_program)
        if refusal is not None:
            return HTTPStatus.FORBIDDEN, "json", to_json({"error": refusal})
        if path == "/":
            return HTTPStatus.OK, "html", _page("index.html")
        if is_program:
            return self._program(path.removeprefix("/static/"))
        if path.startswith("/api/"):
            kind, body = self._data(path.removeprefix("/api/"), query.without("token", "generation"))
            return HTTPStatus.OK, kind, body
        return HTTPStatus.NOT_FOUND, "json", to_json({"error": "there is no such page; open the explorer's address"})

    def _program(self, name: str) -> tuple[int, str, bytes]:
        """One of the files that belong to the page; other names, and ways out of the folder, are unknown."""
        if name not in _programs():
            return HTTPStatus.NOT_FOUND, "json", to_json({"error": "the page has no such part; reload it"})
        return HTTPStatus.OK, name.rpartition(".")[2], _page(name)

    def _data(self, name: str, query: Query) -> tuple[str, bytes]:
        catalogue = self.server.catalogue
        run, asked = query.get("run"), query.without("run")
        if name == "summary":
            return "json", to_json(catalogue.summary(run))
        if name == "ledger":
            return "json", to_json(catalogue.ledger())
        head, _, rest = name.partition("/")
        view, _, kind = rest.partition(".")
        if head != "view" or kind not in WRITERS:
            raise InputError(f"there is nothing called {name[:60]!r}; reload the page")
        return kind or "json", self._view(catalogue.subject(run), view, kind, asked)

    def _view(self, subject: Subject, view: str, kind: str, query: Query) -> bytes:
        found = find_view(view)
        update = query.whole("update", -1, -1, 2**60)
        if self.headers.get("X-Rbmscape-Ahead") and found.prepare is not None and not subject.has(view, update):
            raise NotReadyError("it is not needed yet")
        made = len(subject.frames(view)) if found.uses_all else 0
        key = (subject.name, subject.preparation.generation, len(subject.updates), made, view, kind, query)

        def make() -> bytes:
            if found.prepare is not None:
                return WRITERS[kind](found.show(subject, query))
            with self.server.turns:
                made = WRITERS[kind](found.show(subject, query))
                give_back_memory()
            return made

        try:
            return self.server.cache.get(key, make)
        finally:
            subject.preparation.answered()

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", KINDS[kind])
        self.send_header("Content-Length", str(len(body)))
        for name, value in self.server.guard.headers().items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """A sentence for what is no question at all."""
        del explain
        self.close_connection = True
        if self.request_version == "HTTP/0.9":
            return
        self.command = self.command or "GET"
        self._send(code, "json", to_json({"error": f"the request cannot be answered ({message or code})"}))

    def log_message(self, *_words: Any) -> None:
        """Stay silent: the terminal belongs to the user."""


def _programs() -> frozenset[str]:
    root = files("rbmscape.explorer") / "static"
    here = [part.name for part in root.iterdir() if part.is_file()]
    views = [f"views/{part.name}" for part in (root / "views").iterdir() if part.is_file()]
    return frozenset(here + views)


def _page(name: str) -> bytes:
    return (files("rbmscape.explorer") / "static" / name).read_bytes()
