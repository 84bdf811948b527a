"""What is made when: answers once, wishes before the rest, samples in a process of their own; memory has an end."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import rbmscape as rs
from rbmscape.errors import InputError
from rbmscape.explorer import drawing, frames
from rbmscape.explorer.cache import Cache
from rbmscape.explorer.catalogue import Catalogue, of_run
from rbmscape.explorer.encode import Sheet, to_csv, to_netcdf, to_page
from rbmscape.explorer.frames import Frames, NotReadyError
from rbmscape.explorer.gauge import Gauge


def polled(begun, seconds=60):
    """Samples once they are drawn."""
    end = time.monotonic() + seconds
    while (found := begun.poll()) is None and time.monotonic() < end:
        time.sleep(0.05)
    return found


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
        waiting.append(threading.Thread(target=lambda at=update: told.append(found.wait(("a", at), 10).n.item())))
        waiting[-1].start()
        while found.wish() != ("a", update):
            time.sleep(0.001)
    for update in (3, 2, 1):
        assert found.wish() == ("a", update)
        found.put(("a", update), xr.Dataset({"n": update}))
    for thread in waiting:
        thread.join(10)
    assert sorted(told) == [1, 2, 3]
    with pytest.raises(NotReadyError, match="update 9"):
        found.wait(("a", 9), 0.01)
    found.put(("a", 9), InputError("no such luck"))
    assert found.wish() is None
    found.put(("a", 9), xr.Dataset({"n": 9}))
    assert found.wait(("a", 9), 0.01).n == 9


def test_frames_have_an_end_but_for_those_that_show_all_checkpoints(monkeypatch):
    monkeypatch.setattr(frames, "MOST_BYTES", 3000)
    found = Frames(lasting=["curve"])
    for update in range(10):
        for view in ("curve", "map"):
            found.put((view, update), xr.Dataset({"x": ("i", np.zeros(50))}))
    assert len(found.kept("curve")) == 10
    assert [update for update, _ in found.kept("map")] == [9]
    assert found.missing("map", range(12)) == [10, 11], "what was dropped is not made again until it is asked for"


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
    for write in (to_page, to_csv):
        assert write(sheet) == write(sheet.dataset())
    assert to_netcdf(sheet)[1:4] == b"HDF"


@pytest.mark.slow
@pytest.mark.parametrize("what", ["run", "model"])
def test_samples_of_many_weights_are_drawn_in_a_process_of_their_own(monkeypatch, plain_run, what):
    """They are the same as those drawn here."""
    opened = plain_run if what == "run" else rs.RBM.random(6, 4, std=0.5, seed=1)
    never = threading.Event()
    here = drawing.Drawing(opened, never).poll()
    monkeypatch.setattr(drawing, "MOST_WEIGHTS_HERE", 0)
    elsewhere = drawing.Drawing(opened, never)
    place, found = Path(elsewhere._scratch.name), elsewhere.poll()
    assert found is None
    assert place.is_dir()
    end = time.monotonic() + 60
    while found is None and time.monotonic() < end:
        time.sleep(0.05)
        found = elsewhere.poll()
    assert (found.packed.states == here.packed.states).all()
    update = plain_run.updates[1] if what == "run" else None
    assert (found.at(update).h == here.at(update).h).all()
    assert not place.exists()


@pytest.mark.slow
def test_samples_that_cannot_be_drawn_are_told_in_a_sentence(monkeypatch, plain_run, tmp_path):
    import shutil

    monkeypatch.setattr(drawing, "MOST_WEIGHTS_HERE", 0)
    shutil.copytree(plain_run.directory, tmp_path / "copy")
    run = rs.Run.open(tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy")
    begun = drawing.Drawing(run, threading.Event())
    with pytest.raises(InputError, match="copy"):
        polled(begun)


@pytest.mark.slow
def test_closing_ends_the_process_that_draws(monkeypatch, plain_run):
    monkeypatch.setattr(drawing, "MOST_WEIGHTS_HERE", 0)
    monkeypatch.setattr(drawing, "BUDGET", 1e15)
    subject = of_run(plain_run).subject("")
    subject.begin()
    end = time.monotonic() + 60
    while subject.preparation._drawing is None and time.monotonic() < end:
        time.sleep(0.02)
    process = subject.preparation._drawing._process
    subject.close()
    assert process.returncode is not None


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
