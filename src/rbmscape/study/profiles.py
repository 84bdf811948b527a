"""Built-in plans of `rbmscape reproduce`."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from rbmscape.errors import ConfigError
from rbmscape.study.config import DataPlan, LikelihoodPlan, Scope, StudyConfig

__all__ = ["PROFILES", "profile"]


def _smoke() -> StudyConfig:
    """Seconds: does every part work?"""
    small = {"epochs": 3, "batch_size": 100, "n_chains": 100, "gibbs_steps": 2}
    return StudyConfig(
        name="smoke",
        data=DataPlan(source="mnist", options={"n_train": 2000, "n_test": 500}),
        hidden=(16, 32),
        replicas=2,
        recipes={"recommended": small, "cd": small | {"method": "cd"}, "rdm": small | {"method": "rdm"}},
        scopes={name: Scope(hidden=(16,), replicas=1) for name in ("cd", "rdm")},
        likelihood=LikelihoodPlan(n_betas=100, n_chains=50),
        figure_options={
            "gallery": {"n_samples": 6},
            "landscapes": {"n_points": 100},
            "random_spectra": {"hidden": [16, 32], "n_simulations": 19},
            "kurtosis": {"hidden": [16, 32, 64], "n_states": 2000},
            "gaussianity": {"n_states": 1000},
            "evolution": {"n_data": 200},
            "rotational_symmetry": {"n_null": 4, "n_rotations": 2},
            "symmetry_breaking": {"n_data": 200},
            "symmetry_breaking_sizes": {"n_data": 200},
            "relaxation": {
                "n_checkpoints": 3,
                "mode_indices": (0, 1, 5),
                "n_gaussian": 300,
                "n_chains": 24,
                "n_steps": 120,
            },
            "diffused_images": {"n_chains": 20, "n_shown": 6, "time": 2.0},
        },
    )


def _quick() -> StudyConfig:
    """Minutes on two processor cores: three sizes, two replicas each, and the smallest size by CD and Rdm as well."""
    short = {"epochs": 3, "checkpoint_epochs": (1, 2, 3)}
    return StudyConfig(
        name="quick",
        data=DataPlan(source="mnist"),
        hidden=(100, 500, 1200),
        replicas=2,
        recipes={"recommended": short, "cd": short | {"method": "cd"}, "rdm": short | {"method": "rdm"}},
        scopes={name: Scope(hidden=(100,), replicas=1) for name in ("cd", "rdm")},
        likelihood=LikelihoodPlan(n_betas=500, n_chains=200),
        figure_options={
            "random_spectra": {"hidden": (100, 500, 1200), "n_simulations": 19},
            "kurtosis": {"hidden": (100, 500, 784, 1200), "n_states": 50_000},
            "rotational_symmetry": {"n_null": 5, "n_rotations": 2, "n_along": 7},
            "evolution": {"n_data": 1000},
            "mode_potentials": {"n_starts": 8},
            "relaxation": {"n_checkpoints": 3, "n_gaussian": 300, "n_chains": 32, "n_steps": 200},
            "diffused_images": {"n_chains": 60, "time": 4.0},
        },
    )


PROFILES: dict[str, Callable[[], StudyConfig]] = {"smoke": _smoke, "quick": _quick}


def profile(name: str) -> StudyConfig:
    """A built-in plan.

    Raises
    ------
    ConfigError : there is no such profile (with the nearest one)
    """
    if name not in PROFILES:
        near = difflib.get_close_matches(name, PROFILES, n=1)
        cure = f"did you mean {near[0]!r}?" if near else f"the profiles are {', '.join(PROFILES)}"
        raise ConfigError(f"there is no profile {name!r}; {cure}")
    return PROFILES[name]()
