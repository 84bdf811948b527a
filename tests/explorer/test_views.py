"""Data of the views: of a model, of one checkpoint, of a training that is going on; and they are the package's own."""

from __future__ import annotations

import shutil
import time
from itertools import pairwise

import numpy as np
import pytest
from tests.explorer.conftest import tiny_recipe

import rbmscape as rs
from rbmscape.explorer.catalogue import Catalogue, of_run
from rbmscape.explorer.encode import to_csv, to_netcdf, to_page
from rbmscape.explorer.frames import NotReadyError
from rbmscape.explorer.query import Query
from rbmscape.explorer.registry import all_views


def ready(subject, seconds=240):
    """The subject once everything of it is computed."""
    subject.begin()
    end = time.monotonic() + seconds
    while subject.preparation.stage != "ready":
        assert time.monotonic() < end, subject.preparation.problem
        time.sleep(0.02)
    return subject


def test_a_model_without_run_or_data_has_every_view():
    rbm = rs.RBM.random(12, 5, std=0.5, seed=1)
    catalogue = Catalogue("model", lambda: {"model": rbm})
    subject = ready(catalogue.subject(""))
    for name, view in all_views().items():
        found = view.show(subject, Query())
        assert to_page(found), name
        assert b"variable,value,units" in to_csv(found), name
        assert to_netcdf(found)[1:4] == b"HDF", name
    assert catalogue.summary("")["updates"] == [0]
    assert subject.samples_at(0).verdict is not None
    catalogue.close()


def test_one_checkpoint_is_enough(tmp_path):
    data = rs.load_dataset("bars-and-stripes")
    run = rs.train(data, tiny_recipe(epochs=0, n_hidden=3), tmp_path / "run", progress=False)
    subject = ready(of_run(run).subject(""))
    for name, view in all_views().items():
        assert to_page(view.show(subject, Query())), name


def test_signs_are_continuous_and_the_gauge_is_that_of_the_package(plain_run):
    """Landscapes of all checkpoints against modes that are followed from the last one back."""
    subject = ready(of_run(plain_run).subject(""))
    updates = subject.updates
    for before, after in pairwise(updates):
        overlap = (subject.gauge.at(before).left[:, 0] @ subject.gauge.at(after).left[:, 0]).item()
        assert overlap > 0
    last = rs.Modes.of(plain_run.load(averaged=False))
    shown = all_views()["landscape"].show(subject, Query.parse("mode=1"))
    grid = last.mode_energy(0, *np.meshgrid(shown.grid_x_value.values, shown.grid_y_value.values)).numpy()
    assert np.allclose(shown.energy.values, grid, rtol=1e-5, atol=1e-5)


def test_a_run_that_has_not_begun_to_write_says_so(tmp_path, plain_run):
    copy = tmp_path / "begun"
    shutil.copytree(plain_run.directory, copy)
    shutil.rmtree(copy / "checkpoints")
    (copy / "metrics.jsonl").unlink()
    (copy / "state.safetensors").unlink()
    subject = of_run(rs.Run.open(copy)).subject("")
    with pytest.raises(NotReadyError, match="no checkpoint"):
        all_views()["training"].show(subject, Query())
