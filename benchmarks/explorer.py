"""The explorer's figures in Chromium: first picture, timeline, knob of rotations, clamped sampler, memory, ten tabs.

    python -m benchmarks.explorer RUN [--json FILE]

RUN is the directory of a finished run.  Playwright drives the Chromium that is on the PATH.  Times are medians with the
95 % quantile, in milliseconds of the page's own clock; the first picture (metrics and weights) counts from the request
of the page, in a browser that is running, and the whole view has samples as well.  Memory is resident; the peak of the
process that draws equilibrium samples is counted apart.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

VIEWS = ("training", "landscape", "symmetry", "spectrum", "hierarchy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    from playwright.sync_api import sync_playwright

    command = [sys.executable, "-m", "rbmscape", "explore", asked.run, "--no-browser", "--port", "0"]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as driver:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        found = {"processor": processor(), "command to address (s)": round(time.perf_counter() - began, 2)}
        chromium = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            found |= measured(chromium, url, server.pid)
        finally:
            chromium.close()
            server.terminate()
    text = json.dumps(found, indent=2)
    print(text)
    if asked.json:
        asked.json.write_text(text + "\n")


def measured(chromium, url, pid):
    page = chromium.new_page(viewport={"width": 1200, "height": 900})
    began = time.perf_counter()
    page.goto(url)
    wait(page, "!!window.rbmscape?.ready")
    found = {"load average": os.getloadavg()[0], "first picture (s)": seconds(page.evaluate("window.rbmscape.first"))}
    found["whole first view (s)"] = round(time.perf_counter() - began, 2)
    found["processor time of the server until then (s)"] = processor_time(pid)
    found["timeline while checkpoints are prepared, symmetry (ms)"] = quantiles(moves(page, url, "symmetry"))
    began = time.perf_counter()
    wait(
        page,
        "document.querySelector('#progress').textContent.startsWith('drawing') || "
        "document.querySelector('#progress').textContent === ''",
        600,
    )
    found["all checkpoints prepared (s)"] = round(time.perf_counter() - began, 1)
    found["server memory then, and its peak (MB)"] = memory(pid)
    found["peak of the process that draws samples (MB)"] = watched(page, pid)
    found["with equilibrium samples (s)"] = round(time.perf_counter() - began, 1)
    for view in VIEWS:
        found[f"timeline, {view} (ms)"] = quantiles(moves(page, url, view))
    for view, press in (("hierarchy", "#spin"), ("play", None)):
        found[f"frames a second, {view}"] = frames(page, url, view, press)
    found["server memory, and its peak (MB)"] = memory(pid)
    tabs = [chromium.new_page() for _ in range(10)]
    began = time.perf_counter()
    for tab in tabs:
        tab.goto(f"{url}#view=landscape")
    for tab in tabs:
        wait(tab, "!!window.rbmscape?.ready")
    found["ten more tabs, all drawn (s)"] = round(time.perf_counter() - began, 2)
    found["server memory with them, and its peak (MB)"] = memory(pid)
    found["load average at the end"] = os.getloadavg()[0]
    return found


def watched(page, pid):
    """Largest resident memory of a child of the server until everything is computed."""
    most, end = 0, time.monotonic() + 1500
    while page.evaluate("document.querySelector('#progress').textContent !== ''") and time.monotonic() < end:
        children = Path(f"/proc/{pid}/task").glob("*/children")
        for child in [int(word) for part in children for word in part.read_text().split()]:
            with contextlib.suppress(OSError, StopIteration):
                most = max(most, memory(child)[1])
        time.sleep(0.2)
    return most


def seconds(milliseconds):
    return round(milliseconds / 1000, 2)


def processor_time(pid):
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return round((int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK"), 2)


def wait(page, expression, seconds=120):
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        if time.monotonic() > end:
            raise SystemExit(f"{expression} did not come true: {page.inner_text('#message')}")
        time.sleep(0.02)


def opened(page, url, view):
    page.goto("about:blank")
    page.goto(f"{url}#view={view}")
    wait(page, "!!window.rbmscape?.ready")


def moves(page, url, view):
    """From the key to the new picture, along the whole timeline and back."""
    opened(page, url, view)
    count = page.evaluate("Number(document.querySelector('#timeline').max)")
    page.evaluate("window.rbmscape.redraws.length = 0")
    for done, key in enumerate(["ArrowLeft"] * count + ["ArrowRight"] * count, start=1):
        page.keyboard.press(key)
        wait(page, f"window.rbmscape.redraws.length >= {done}")
    return page.evaluate("window.rbmscape.redraws")


def quantiles(values):
    ordered = sorted(values)
    return {"median": round(statistics.median(ordered), 1), "95 %": round(ordered[int(0.95 * (len(ordered) - 1))], 1)}


def frames(page, url, view, press):
    opened(page, url, view)
    if press:
        page.click(press)
    wait(page, "window.rbmscape.frames?.length > 150")
    times = page.evaluate("window.rbmscape.frames.slice(30)")
    gaps = [b - a for a, b in itertools.pairwise(times)]
    return {
        "median": round(1000 / statistics.median(gaps), 1),
        "slowest 5 %": round(1000 / sorted(gaps)[int(0.95 * len(gaps))], 1),
    }


def memory(pid):
    """Resident memory of a process, now and at its peak."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kinds = [next(line for line in lines if line.startswith(kind)) for kind in ("VmRSS", "VmHWM")]
    return [round(int(line.split()[1]) / 1000) for line in kinds]


def processor():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")
    return f"{name}, {sum(line.startswith('processor') for line in lines)} threads"


if __name__ == "__main__":
    main()
