"""A Chromium that is driven through Playwright, and pages of explorers that notice every complaint."""

from __future__ import annotations

import time

import pytest
from tests.conftest import browser
from tests.explorer.conftest import _few_samples, image_run, plain_run

from rbmscape.explorer.catalogue import open_path
from rbmscape.explorer.server import ExplorerServer

__all__ = ["_few_samples", "image_run", "plain_run"]


@pytest.fixture(scope="session")
def chromium():
    """The browser, started once."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, as from `make install`")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=browser(), args=["--no-sandbox"])
        yield found
        found.close()


class Watched:
    """One page that remembers errors of its console and the hosts that it asked."""

    def __init__(self, page, server):
        self.page, self.server = page, server
        self.errors, self.hosts = [], set()
        page.on("console", lambda said: said.type == "error" and self.errors.append(said.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda asked: self.hosts.add(asked.url.split("/")[2] if "://" in asked.url else "inside"))

    def until(self, expression, seconds=60):
        """Wait until an expression of JavaScript is true; the page's policy forbids Playwright's own way."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, (expression, self.page.inner_text("#message"), self.errors)
            time.sleep(0.02)

    def shown(self, view, update=None):
        """Wait until a view is drawn."""
        ready = f"String(window.rbmscape?.shown).startsWith('{view} {'' if update is None else update}')"
        self.until(f"{ready} && !document.querySelector('#stage').classList.contains('waiting')")

    def settled(self, view, update):
        """Wait until a view is drawn and everything is computed, so that its picture stays as it is."""
        self.shown(view, update)
        self.until("document.querySelector('#progress').textContent === ''")
        self.shown(view, update)

    def open(self, words):
        """Go to a state."""
        self.page.goto(f"{self.server.url}#{words}")
        self.until("!!window.rbmscape?.ready")
        return self

    def picture(self, selector="#stage"):
        """Pixels of a part of the page."""
        return self.page.locator(selector).first.screenshot()


@pytest.fixture(scope="session")
def serve():
    """Starts explorers of paths, one each, and ends them."""
    servers = {}

    def start(path):
        if path not in servers:
            servers[path] = ExplorerServer(open_path(path), port=0)
            servers[path].start()
        return servers[path]

    yield start
    for server in servers.values():
        server.close()


@pytest.fixture
def look(chromium, serve):
    """Opens a page on a run; at the end nothing may have complained, and nothing may have left the machine."""
    pages = []

    def opened(path, words="", width=1200, height=2600):
        server = serve(path)
        watched = Watched(chromium.new_page(viewport={"width": width, "height": height}), server)
        pages.append(watched)
        return watched.open(words)

    yield opened
    for watched in pages:
        watched.page.close()
        assert watched.errors == []
        assert watched.hosts <= {f"127.0.0.1:{watched.server.guard.port}", "inside"}
