"""Data of the views: of a model, of one checkpoint, of a training that is going on; and they are the package's own."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
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


def shown(view, subject, seconds=120):
    """What a view shows, once it is made."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(NotReadyError):
            return view.show(subject, Query())
    raise AssertionError(view.name)


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
    shown = all_views()["landscape"].show(subject, Query.parse("mode=1")).dataset()
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


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (3, 400), (4200, 2)])
def test_every_size_has_every_view(size):
    """One visible or one hidden unit, and more units of a layer than whose bases are completed."""
    rbm = rs.RBM.random(*size, std=0.5, seed=1)
    catalogue = Catalogue("model", lambda: {"model": rbm})
    subject = catalogue.subject("")
    for name, view in all_views().items():
        assert to_page(shown(view, subject)), name
    assert catalogue.summary("")["columns"] == ([f"unit {k}" for k in range(1, size[0] + 1)] if size[0] < 10 else [])
    catalogue.close()


@pytest.mark.slow
def test_densities_along_the_training_are_those_of_the_samples_and_show_two_wells(tmp_path):
    """Two patterns and their noise: at the end u has two peaks, and between them, where its mean is, is nothing."""
    generator = np.random.default_rng(0)
    pattern = np.arange(12) < 6
    rows = pattern ^ (generator.random((800, 1)) < 0.5) ^ (generator.random((800, 12)) < 0.05)
    np.save(tmp_path / "rows.npy", rows.astype(np.uint8))
    data, recipe = rs.load_dataset(tmp_path / "rows.npy"), tiny_recipe(epochs=40, n_hidden=6, batch_size=50)
    run = rs.train(data, recipe, tmp_path / "run", progress=False)
    subject = ready(of_run(run).subject(""))
    found = all_views()["symmetry"].show(subject, Query.parse("mode=1")).dataset()
    for kind in ("samples", "data"):
        for axis in "uw":
            density, edges = found[f"along_{kind}_{axis}_density"], found[f"along_{axis}_edge"]
            assert density.sizes["at"] == len(run.updates)
            assert np.allclose((density.values * np.diff(edges.values)).sum(-1), 1.0)
    edges = found.along_u_edge.values[-1]
    share, middle = found.along_data_u_density.values[-1] * np.diff(edges), (edges[1:] + edges[:-1]) / 2
    mean, deviation = float(found.along_data_u_mean[-1]), float(found.along_data_u_sd[-1])
    assert np.isclose(share @ middle, mean, atol=edges[1] - edges[0])
    assert share[abs(middle - mean) < deviation / 2].sum() < 0.1
    assert share[middle < mean].sum() > 0.3
    assert share[middle > mean].sum() > 0.3
