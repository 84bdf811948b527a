"""A study small enough to be summed exactly."""

from __future__ import annotations

import pytest

from rbmscape.study.config import DataPlan, LikelihoodPlan, StudyConfig


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
