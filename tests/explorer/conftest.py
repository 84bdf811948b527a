"""Tiny runs that all tests of the explorer look at."""

from __future__ import annotations

import pytest

import rbmscape as rs


def tiny_recipe(**changes):
    usual = {"n_hidden": 12, "epochs": 2, "batch_size": 100, "n_chains": 40, "gibbs_steps": 2, "early_checkpoints": 3}
    return rs.TrainingConfig(**(usual | {"averaging": 0} | changes))


@pytest.fixture(scope="session", autouse=True)
def _few_samples():
    """Equilibrium samples that take a second; whether they are any good is their verdict's affair."""
    from rbmscape.explorer import drawing

    usual = drawing.BUDGET, drawing.N_CHAINS
    drawing.BUDGET, drawing.N_CHAINS = 1e9, 32
    yield
    drawing.BUDGET, drawing.N_CHAINS = usual


@pytest.fixture(scope="session")
def image_run(tmp_path_factory):
    """A run on images with classes, with a likelihood that was measured while training."""
    data = rs.load_dataset("mnist", n_train=600, n_test=100)
    return rs.train(
        data, tiny_recipe(online_likelihood=True), tmp_path_factory.mktemp("runs") / "images", progress=False
    )


@pytest.fixture(scope="session")
def plain_run(tmp_path_factory):
    """A run on data that are no images."""
    return rs.train(
        rs.load_dataset("planted"), tiny_recipe(), tmp_path_factory.mktemp("runs") / "plain", progress=False
    )
