"""Fifty clients at once: every question is answered, threads end with their connections, memory stays flat."""

from __future__ import annotations

import collections
import http.client
import random
import resource
import threading
import time

import pytest
from tests.explorer.test_views import ready

from rbmscape.explorer.catalogue import of_run
from rbmscape.explorer.server import ExplorerServer

N_CLIENTS, N_QUESTIONS = 50, 12
QUESTIONS = (
    "summary",
    *(f"view/{name}" for name in ("training", "states", "landscape", "symmetry", "spectrum", "hierarchy", "play")),
)


def crowd(server, updates):
    """Status of all answers."""
    statuses, together = collections.Counter(), threading.Barrier(N_CLIENTS)

    def client(seed):
        choose = random.Random(seed)
        connection = http.client.HTTPConnection("127.0.0.1", server.guard.port, timeout=60)
        together.wait(60)
        for _ in range(N_QUESTIONS):
            path = f"/api/{choose.choice(QUESTIONS)}?update={choose.choice(updates)}"
            connection.request("GET", path, headers={"X-Rbmscape-Token": server.guard.token})
            answer = connection.getresponse()
            assert len(answer.read()) > 100, path
            statuses[answer.status] += 1
        connection.close()

    clients = [threading.Thread(target=client, args=(seed,)) for seed in range(N_CLIENTS)]
    for one in clients:
        one.start()
    for one in clients:
        one.join(120)
    return statuses


@pytest.mark.slow
def test_fifty_clients_are_answered_and_leave_nothing_behind(plain_run):
    catalogue = of_run(plain_run)
    server = ExplorerServer(catalogue, port=0)
    server.start()
    try:
        ready(catalogue.subject(""))
        before = threading.active_count()
        assert crowd(server, plain_run.updates) == {200: N_CLIENTS * N_QUESTIONS}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(2):
            assert crowd(server, plain_run.updates) == {200: N_CLIENTS * N_QUESTIONS}
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 20_000, "kilobytes"
        end = time.monotonic() + 20
        while threading.active_count() > before and time.monotonic() < end:
            time.sleep(0.05)
        assert threading.active_count() <= before
    finally:
        server.close()
