"""Many clients of one explorer for minutes: errors, answers a second, and whether the server's memory stays flat.

    python -m benchmarks.explorer_clients RUN [--clients 50] [--minutes 5] [--json FILE]

Every client keeps its connection and asks, one question after the other, for a view drawn at random (fixed seeds) at a
checkpoint drawn at random, with a short pause, as a person who plays the timeline does.
"""

from __future__ import annotations

import argparse
import collections
import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from benchmarks.explorer import memory, processor

VIEWS = ("training", "states", "landscape", "symmetry", "spectrum", "hierarchy", "diffusion", "play")
PAUSE = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    command = [sys.executable, "-m", "rbmscape", "explore", asked.run, "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = urlsplit(server.stdout.readline().strip())
        try:
            found = {"processor": processor()} | crowd(url, server.pid, asked.clients, 60 * asked.minutes)
        finally:
            server.terminate()
    text = json.dumps(found, indent=2)
    print(text)
    if asked.json:
        asked.json.write_text(text + "\n")


def crowd(url, pid, n_clients, seconds):
    """Answers by status, and the memory of the server every sixth of the time."""
    token, end = parse_qs(url.query)["token"][0], time.monotonic() + seconds
    first = http.client.HTTPConnection(url.hostname, url.port, timeout=120)
    first.request("GET", "/api/summary", headers={"X-Rbmscape-Token": token})
    updates = json.loads(first.getresponse().read())["updates"]
    statuses, waits = collections.Counter(), []
    clients = [
        threading.Thread(target=client, args=(url, token, updates, end, seed, statuses, waits))
        for seed in range(n_clients)
    ]
    load = os.getloadavg()[0]
    for one in clients:
        one.start()
    sizes = []
    for _ in range(6):
        time.sleep(seconds / 6)
        sizes.append(memory(pid)[0])
    for one in clients:
        one.join()
    waits.sort()
    return {
        "clients": n_clients,
        "seconds": seconds,
        "load average before, after": [load, os.getloadavg()[0]],
        "answers by status": dict(statuses),
        "answers a second": round(len(waits) / seconds, 1),
        "wait, median and 95 % (ms)": [round(1000 * waits[int(part * (len(waits) - 1))]) for part in (0.5, 0.95)],
        "server memory every sixth of the time (MB)": sizes,
        "server memory at its peak (MB)": memory(pid)[1],
    }


def client(url, token, updates, end, seed, statuses, waits):
    choose = random.Random(seed)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=120)
    while time.monotonic() < end:
        view, update = choose.choice(VIEWS), choose.choice(updates)
        began = time.perf_counter()
        try:
            connection.request("GET", f"/api/view/{view}?update={update}", headers={"X-Rbmscape-Token": token})
            answer = connection.getresponse()
            answer.read()
            statuses[str(answer.status)] += 1
        except OSError as error:
            statuses[type(error).__name__] += 1
            connection.close()
        waits.append(time.perf_counter() - began)
        time.sleep(PAUSE * 2 * choose.random())


if __name__ == "__main__":
    main()
