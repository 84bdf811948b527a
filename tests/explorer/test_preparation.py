"""What is made when: answers once, wishes before the rest, samples in a process of their own; memory has an end."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from tests.explorer.test_views import ready

import rbmscape as rs
from rbmscape.errors import InputError
from rbmscape.explorer import drawing, frames
from rbmscape.explorer.cache import Cache
from rbmscape.explorer.catalogue import Catalogue, of_run
from rbmscape.explorer.encode import Sheet, to_csv, to_netcdf, to_page
from rbmscape.explorer.frames import Frames, NotReadyError
from rbmscape.explorer.gauge import Gauge


def test_a_cache_keeps_what_was_asked_for_last_up_to_its_bytes():
    cache, made = Cache(10, len), []

    def make(word):
        return cache.get(word, lambda: made.append(word) or word)

    for word in ("aaaa", "bbbb", "aaaa", "cccc"):
        assert make(word) == word
    assert made == ["aaaa", "bbbb", "cccc"]
    assert cache.n_bytes == 8
    make("aaaa")
    assert made == ["aaaa", "bbbb", "cccc"], "bbbb was asked for longest ago and is gone"
    make("bbbb")
    assert made[-1] == "bbbb"
    assert len(make("d" * 100)) == 100
    assert cache.n_bytes == 0, "what is larger than the cache is not kept"


def test_who_asks_for_what_is_being_made_waits_for_it():
    cache, made, held = Cache(100, len), [], threading.Event()

    def make():
        held.wait(10)
        made.append(1)
        return "x"

    threads = [threading.Thread(target=lambda: cache.get("key", make)) for _ in range(8)]
    for thread in threads:
        thread.start()
    held.set()
    for thread in threads:
        thread.join(10)
    assert made == [1]
    with pytest.raises(ValueError, match="no"):
        cache.get("bad", lambda: int("no"))
    assert cache.get("bad", lambda: "good") == "good", "a failure is not kept"


def test_the_newest_wish_comes_first_and_a_failure_is_told_once():
    found, told = Frames(), []
    waiting = []
    for update in (1, 2, 3):
        waiting.append(threading.Thread(target=lambda at=update: told.append(found.wait(("a", at), 10)["n"].item())))
        waiting[-1].start()
        while len(found._wishes) < update:
            time.sleep(0.001)
    assert [found.wish() for _ in range(4)] == [("a", 3), ("a", 2), ("a", 1), None], "each is taken once"
    for update in (3, 2, 1):
        found.put(("a", update), Sheet({"n": ((), update)}))
    for thread in waiting:
        thread.join(10)
    assert sorted(told) == [1, 2, 3]
    with pytest.raises(NotReadyError, match="update 9"):
        found.wait(("a", 9), 0.01)
    assert found.wish() == ("a", 9)
    found.put(("a", 9), InputError("no such luck"))
    assert found.wish() is None
    found.put(("a", 9), Sheet({"n": ((), 9)}))
    assert found.wait(("a", 9), 0.01)["n"] == 9


def test_frames_have_an_end_but_for_those_that_show_all_checkpoints(monkeypatch):
    monkeypatch.setattr(frames, "MOST_BYTES", 3000)
    found = Frames(lasting=["curve"])
    for update in range(10):
        for view in ("curve", "map"):
            assert found.begin([(view, update)]) == (view, update)
            found.put((view, update), Sheet({"x": ("i", np.zeros(50))}))
    assert len(found.kept("curve")) == 10
    assert [update for update, _ in found.kept("map")] == [9]
    keys = [("map", update) for update in range(12)]
    assert [found.begin(keys) for _ in range(3)] == [("map", 10), ("map", 11), None], "what was dropped is made once"


def test_modes_that_are_too_many_to_keep_are_made_again(monkeypatch, plain_run):
    from rbmscape.explorer import gauge

    monkeypatch.setattr(gauge, "MOST_BYTES", 1)
    found = Gauge(lambda update: plain_run.load(update, averaged=False))
    for update in plain_run.updates[::-1]:
        found.at(update)
        assert len(found._kept) <= 3
    assert found.at(plain_run.updates[2]).n_visible == 64


def test_the_first_picture_waits_for_no_import_of_xarray_or_numba(image_run):
    program = """
import sys
from rbmscape.explorer.catalogue import open_path
from rbmscape.explorer.encode import to_page
from rbmscape.explorer.query import Query
from rbmscape.explorer.registry import find_view
subject = open_path(sys.argv[1]).subject("")
assert len(to_page(find_view("training").show(subject, Query()))) > 1000
print(*[name for name in ("xarray", "pandas", "numba", "matplotlib", "sklearn") if name in sys.modules])
"""
    words = [sys.executable, "-c", program, str(image_run.directory)]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip() == ""


def test_a_sheet_is_its_dataset():
    sheet = Sheet(
        {
            "a": (("i", "j"), [[1, 2], [3, 4]], {"units": "nats"}),
            "b": ("i", np.array([0, 1], np.uint8)),
            "c": ((), 2.5),
        },
        {"i": ("i", [10.0, 20.0])},
        {"words": "w"},
    )
    page = json.loads(to_page(sheet))["arrays"]
    assert page["a"]["shape"] == [2, 2]
    assert page["b"]["kind"] == "u1"
    assert sheet.dataset().a.sel(i=20.0).values.tolist() == [3, 4]
    assert (sheet.at("i", 1)["a"] == [3, 4]).all()
    assert sheet.at("i", 1).dataset().equals(sheet.dataset().isel(i=1))
    assert to_csv(sheet).startswith(b"i,")
    assert to_netcdf(sheet)[1:4] == b"HDF"


def test_samples_that_cannot_be_drawn_are_told_in_a_sentence(monkeypatch):
    def fails(*_):
        raise InputError("no such luck")

    monkeypatch.setattr("rbmscape.explorer.preparation.drawn", fails)
    catalogue = Catalogue("model", lambda: {"model": rs.RBM.random(6, 4, std=0.5, seed=1)})
    preparation = ready(catalogue.subject("")).preparation
    assert "no equilibrium samples: no such luck" in preparation.problem
    catalogue.close()


def test_closing_ends_what_is_drawn(monkeypatch, plain_run):
    """At every rung while the ladder is chosen, and at every round."""
    counted, stop = [], threading.Event()

    def count(self, done, status=None):
        counted.append(done)
        if len(counted) == 3 or done:
            stop.set()
        usual(self, done, status)

    usual = drawing.Stopper.advance
    monkeypatch.setattr(drawing.Stopper, "advance", count)
    with pytest.raises(drawing.StoppedError):
        drawing.drawn(plain_run, stop)
    assert counted == [0, 0, 0]


def test_a_checkpoint_that_cannot_be_read_does_not_hold_up_the_others(plain_run, tmp_path):
    import shutil

    shutil.copytree(plain_run.directory, tmp_path / "copy")
    bad = plain_run.updates[2]
    (tmp_path / "copy" / "checkpoints" / f"update-{bad:08d}.safetensors").write_bytes(b"nothing")
    subject = of_run(rs.Run.open(tmp_path / "copy")).subject("")
    end = time.monotonic() + 60
    subject.begin()
    while len(subject.frames("spectrum")) < len(plain_run.updates) - 1:
        assert time.monotonic() < end, subject.preparation.problem
        time.sleep(0.02)
    assert f"{bad:08d}" in subject.preparation.problem
    with pytest.raises(rs.RbmscapeError, match=f"{bad:08d}"):
        subject.frame("spectrum", bad)
    subject.close()


def test_nothing_is_prepared_before_somebody_looks():
    rbm = rs.RBM.random(6, 4, std=0.5, seed=1)
    catalogue = Catalogue("model", lambda: {"model": rbm})
    catalogue.warm()
    time.sleep(0.8)
    assert catalogue.subject("").preparation.prepared["landscape"] == []
    catalogue.summary("")
    end = time.monotonic() + 60
    while not catalogue.subject("").preparation.prepared["landscape"] and time.monotonic() < end:
        time.sleep(0.02)
    assert catalogue.subject("").preparation.prepared["landscape"] == [0]
    catalogue.close()
