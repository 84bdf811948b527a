"""The explorer's server: it refuses strangers, survives nonsense, and stays inside its own folder."""

from __future__ import annotations

import http.client
import json
import shutil
import socket

import pytest

import rbmscape as rs
from rbmscape.errors import InputError, RunNotFoundError
from rbmscape.explorer.catalogue import open_path
from rbmscape.explorer.server import ExplorerServer


@pytest.fixture(scope="module")
def server(image_run):
    found = ExplorerServer(open_path(image_run.directory), port=0)
    found.start()
    yield found
    found.close()


def ask(server, path, token=True, method="GET", **headers):
    """Status, headers and body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.guard.port, timeout=30)
    given = {"X-Rbmscape-Token": server.guard.token} if token else {}
    connection.request(method, path, headers=given | {name.replace("_", "-"): text for name, text in headers.items()})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, dict(answer.headers), body


def test_page_needs_the_token(server):
    assert ask(server, "/", token=False)[0] == 403
    assert ask(server, "/api/summary", token=False)[0] == 403
    assert ask(server, "/?token=wrong", token=False)[0] == 403
    assert ask(server, "/?token=%C3%A9", token=False)[0] == 403
    assert ask(server, f"/?token={server.guard.token}", token=False)[0] == 200
    assert server.guard.token in server.url
    assert len(server.guard.token) >= 32


@pytest.mark.parametrize(
    "name", ["evil.example", "evil.example:{port}", "127.0.0.1:1", "127.0.0.1", "", "127.0.0.1.evil:{port}"]
)
def test_foreign_hosts_are_refused(server, name):
    """A page that renames itself to 127.0.0.1 (DNS rebinding) keeps its own name in Host."""
    assert ask(server, "/api/summary", Host=name.format(port=server.guard.port))[0] == 403


def test_foreign_origins_are_refused(server):
    port = server.guard.port
    for origin in (
        "http://evil.example",
        "null",
        f"https://127.0.0.1:{port}",
        "http://127.0.0.1:1",
        "http://127.0.0.1",
    ):
        assert ask(server, "/api/summary", Origin=origin)[0] == 403, origin
        assert ask(server, "/static/app.js", Origin=origin)[0] == 403, origin
    assert ask(server, "/api/summary", Origin=f"http://127.0.0.1:{port}")[0] == 200


def test_every_answer_has_the_security_headers(server):
    for path in ("/", "/static/app.js", "/api/summary", "/api/view/nothing", "/nothing"):
        _, headers, _ = ask(server, path)
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    "path",
    ["/static/../server.py", "/static/..%2fserver.py", "/static/%2e%2e/%2e%2e/errors.py", "/static//etc/passwd",
     "/static/views/../../server.py", "/static/", "/static/views", "/static/app.js%00",
     "/../../etc/passwd", "/config.json"],
)  # fmt: skip
def test_no_path_leads_out_of_the_pages_folder(server, path):
    status, _, body = ask(server, path)
    assert status in (400, 404)
    assert b"import" not in body
    assert b"root:" not in body


NONSENSE = [
    "/api/view/training?update=x", "/api/view/training?update=1e400", "/api/view/training?update=12345", "/api/view/",
    "/api/view/landscape?update=0&mode=0", "/api/view/landscape?update=0&mode=99", "/api/view/landscape?mode=nan",
    "/api/view/no_such", "/api/view/training.exe", "/api/view/../../x", "/api/nothing", "/api/summary?run=%00",
    "/api/view/states?kind=%22%3E%3Cscript%3E", "/api/view/states?most=-1", "/api/view/__init__", "/api/ledger",
    "/api/view/training?" + "&".join(f"a{k}=1" for k in range(200)), "/api/view/training?&&==%%%",
    "/api/view/training?update=" + "9" * 5000, "/api/view/training?update=" + "9" * 400,
    "/api/view/hierarchy?update=%F0%9F%98%80", "/api/summary?run=../../etc",
]  # fmt: skip


@pytest.mark.parametrize("path", NONSENSE)
def test_nonsense_gets_a_sentence_and_the_server_goes_on(server, path):
    status, headers, body = ask(server, path)
    assert status in (202, 400), body
    record = json.loads(body)
    words = record.get("error") or record["wait"]
    assert len(words) > 20
    assert "Traceback" not in words
    assert headers["Content-Type"].startswith("application/json")
    assert ask(server, "/api/summary")[0] == 200


@pytest.mark.parametrize(
    "sent",
    [b"\r\n\r\n", b"GET\r\n\r\n", b"POST /api/summary HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
     b"\x16\x03\x01\x02\x00",
     b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"DELETE / HTTP/1.1\r\n\r\n",
     b"GET / HTTP/1.1\r\n" + b"".join(b"H%d: x\r\n" % k for k in range(300)) + b"\r\n"],
)  # fmt: skip
def test_what_is_no_request_is_survived(server, sent):
    with socket.create_connection(("127.0.0.1", server.guard.port), timeout=10) as raw:
        raw.sendall(sent)
        raw.shutdown(socket.SHUT_WR)
        answer = raw.recv(200)
    assert answer == b"" or answer.split()[1][:1] in (b"4", b"5")
    assert ask(server, "/api/summary")[0] == 200


def test_a_port_in_use_makes_way_for_the_next(server, image_run):
    second = ExplorerServer(open_path(image_run.directory), port=server.guard.port)
    assert second.guard.port > server.guard.port
    assert second.guard.token != server.guard.token
    second.server_close()


@pytest.mark.parametrize(
    "wrong",
    [{"port": -1}, {"port": 65536}, {"port": "http"}, {"port": 1.5}, {"port": None}, {"host": ""}, {"host": None}],
)
def test_what_is_no_address_is_refused(wrong):
    with pytest.raises(InputError, match=f"{next(iter(wrong))} must be"):
        rs.explore(rs.RBM.random(2, 2), **wrong)


def test_paths_without_a_model_are_refused_in_a_sentence(tmp_path):
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(RunNotFoundError, match="give a"):
            open_path(path)
    with pytest.raises(InputError, match="found int"):
        rs.explore(3)
    with pytest.raises(InputError, match="cannot listen"):
        ExplorerServer(open_path.__globals__["Catalogue"]("x", dict), host="203.0.113.7", port=0)


def test_nothing_is_written_and_a_deleted_run_is_named(image_run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(image_run.directory, copy)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in copy.rglob("*")}
    found = ExplorerServer(open_path(copy), port=0)
    found.start()
    try:
        assert ask(found, "/api/view/training")[0] == 200
        assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in copy.rglob("*")} == before
        shutil.rmtree(copy)
        status, _, body = ask(found, "/api/summary")
        assert status == 410
        assert "gone" in json.loads(body)["error"]
    finally:
        found.close()


def test_a_notebook_shows_the_page_in_a_frame(image_run):
    shown = rs.explore(image_run, port=0)
    try:
        assert shown.url.split("#")[0] in shown._repr_html_()
        assert "http://localhost:*" in ask(shown._server, "/")[1]["Content-Security-Policy"]
    finally:
        shown.close()
