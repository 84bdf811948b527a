"""A study small enough to be summed exactly, and one whose training lasts long enough to be killed in the middle."""

from __future__ import annotations

import pytest
import torch
import xarray as xr

from rbmscape.study.config import DataPlan, LikelihoodPlan, StudyConfig
from rbmscape.study.study import Study, run_study


@pytest.fixture(scope="session")
def tiny_plan() -> StudyConfig:
    return StudyConfig(
        name="tiny",
        data=DataPlan(source="bars-and-stripes", options={"image_shape": (3, 3)}),
        hidden=(6, 2),
        replicas=2,
        recipes={
            "recommended": {
                "epochs": 30,
                "checkpoint_epochs": (10, 20, 30),
                "batch_size": 14,
                "n_chains": 50,
                "gibbs_steps": 1,
                "engine": "reference",
                "early_checkpoints": 2,
            }
        },
        likelihood=LikelihoodPlan(method="exact"),
        figure_options={"gallery": {"n_samples": 4, "sampling": {"n_chains": 20, "budget": 1e9}}},
        figures=("likelihood", "gallery"),
    )


SLICE_UPDATES = 40
"""Updates of a slice of the lasting plan: 2 epochs of 20 updates."""


@pytest.fixture(scope="session")
def lasting_plan() -> StudyConfig:
    """Two runs of four slices, each slice a second or two on one core."""
    return StudyConfig(
        name="lasting",
        data=DataPlan(source="planted", options={"n_visible": 100, "rank": 3, "n_train": 2000, "n_test": 50}),
        hidden=(12,),
        replicas=2,
        recipes={
            "recommended": {
                "epochs": 8,
                "checkpoint_epochs": (2, 4, 6, 8),
                "batch_size": 100,
                "n_chains": 1000,
                "gibbs_steps": 10,
                "engine": "reference",
                "early_checkpoints": 0,
            }
        },
        likelihood=LikelihoodPlan(method="exact"),
        figures=("likelihood",),
        slice_epochs=2,
    )


@pytest.fixture(scope="session")
def undisturbed(lasting_plan, tmp_path_factory) -> Study:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    study = run_study(lasting_plan, tmp_path_factory.mktemp("here") / "s", progress=False)
    outcome = study.outcome
    torch.set_num_threads(threads)
    assert outcome.failures == {}
    return study


def same_numbers(one: Study, other: Study) -> None:
    """Models to the last bit, and the likelihoods that follow from them."""
    assert one.runs.keys() == other.runs.keys()
    for key, run in one.runs.items():
        assert run.updates == other.runs[key].updates
        for update in run.updates:
            a, b = run.load(update), other.runs[key].load(update)
            assert torch.equal(a.weights, b.weights)
            assert torch.equal(a.visible_bias, b.visible_bias)
            assert torch.equal(a.hidden_bias, b.hidden_bias)
    xr.testing.assert_equal(one.result("likelihood"), other.result("likelihood"))
