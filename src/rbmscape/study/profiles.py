"""Built-in plans of `rbmscape reproduce`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rbmscape.errors import ConfigError
from rbmscape.figures.registry import select
from rbmscape.recipe import nearest
from rbmscape.runs.config import TrainingConfig
from rbmscape.study.config import DataPlan, LikelihoodMethod, LikelihoodPlan, Scope, StudyConfig

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
        likelihood=LikelihoodPlan(method="trajectory", n_chains=100, budget=5e9),
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


def _sampled(options: dict[str, dict[str, Any]], **sampling: Any) -> dict[str, dict[str, Any]]:
    """Options with the same `sampling` for every figure that shows equilibrium samples, so that they share them."""
    names = {entry.name for entry in select() if entry.spec.samples}
    return options | {name: options.get(name, {}) | {"sampling": sampling} for name in sorted(names)}


def _quick() -> StudyConfig:
    """Minutes on two processor cores: three sizes, two replicas each.

    The smallest size also by CD and Rdm, and from initial weights ten times as wide.
    """
    short = {"epochs": 3, "checkpoint_epochs": (1, 2, 3)}
    return StudyConfig(
        name="quick",
        data=DataPlan(source="mnist"),
        hidden=(100, 500, 1200),
        replicas=2,
        recipes={
            "recommended": short,
            "cd": short | {"method": "cd"},
            "rdm": short | {"method": "rdm"},
            "wide": short | {"weight_std": 0.1},
        },
        scopes={name: Scope(hidden=(100,), replicas=1) for name in ("cd", "rdm", "wide")},
        likelihood=LikelihoodPlan(n_betas=500, n_chains=200),
        figure_options=_sampled(
            {
                "random_spectra": {"hidden": (100, 500, 1200), "n_simulations": 19},
                "kurtosis": {"hidden": (100, 500, 784, 1200), "n_states": 50_000},
                "rotational_symmetry": {"n_null": 5, "n_rotations": 2, "n_along": 5},
                "evolution": {"n_data": 1000},
                "mode_potentials": {"n_starts": 8},
                "relaxation": {"n_checkpoints": 3, "n_gaussian": 300, "n_chains": 32, "n_steps": 160},
                "diffused_images": {"n_chains": 60, "time": 4.0},
            },
            n_chains=50,
            budget=7e10,
        ),
    )


PAPER_SIZES = (500, 784, 1200, 3000)


def _paper_recipe(**changes: Any) -> dict[str, Any]:
    """Values in which the paper's recipe, with some changes, differs from the default one."""
    wanted, default = TrainingConfig.paper(**changes), TrainingConfig()
    return {name: value for name, value in wanted if value != getattr(default, name)}


def _paper_design(name: str, epochs: int, gibbs_steps: int, checkpoint_epochs: tuple[int, ...]) -> StudyConfig:
    """Section 2 of the paper: four sizes, five replicas; beside its recipe those that it is compared with.

    At M = 500 only: CD and Rdm, in three pairs of runs, for figure 3 f and section 2; SGD in Adam's place, and the
    centred gradient in the plain one's, each alone, for the gap in the spectrum; initial weights ten times as wide; and
    the recommended recipe.
    """
    common: dict[str, Any] = {"epochs": epochs, "checkpoint_epochs": checkpoint_epochs, "early_checkpoints": 12}
    paper = _paper_recipe(gibbs_steps=gibbs_steps, **common)
    return StudyConfig(
        name=name,
        data=DataPlan(source="mnist"),
        hidden=PAPER_SIZES,
        replicas=5,
        recipes={
            "paper": paper,
            "recommended": common,
            "sgd": {name: value for name, value in paper.items() if name != "optimizer"} | {"learning_rate": 0.05},
            "centered": paper | {"gradient": "centered"},
            "wide": paper | {"weight_std": 0.1},
            "cd": paper | {"method": "cd"},
            "rdm": paper | {"method": "rdm"},
        },
        scopes={
            recipe: Scope(hidden=(500,), replicas=replicas)
            for recipe, replicas in {"recommended": 1, "sgd": 1, "centered": 1, "wide": 1, "cd": 3, "rdm": 3}.items()
        },
    )


def _laptop() -> StudyConfig:
    """The paper's whole design on two processor cores: 40 epochs of PCD-10."""
    design = _paper_design("laptop", 40, 10, (1, 2, 3, 5, 7, 10, 14, 20, 28, 40))
    return design.replace(
        likelihood=LikelihoodPlan(
            method="trajectory",
            n_chains=100,
            budget=2.5e11,
            n_checkpoints=8,
            final=LikelihoodMethod(method="bracket", n_betas=1000, n_chains=100, max_betas=4000, budget=2.5e11),
        ),
        figure_options=_sampled(_LAPTOP_FIGURES, budget=2.5e11),
    )


def _paper() -> StudyConfig:
    """The paper as it stands, for a GPU: 100 epochs, 500 Gibbs steps an update, 7 million states for the kurtosis."""
    design = _paper_design("paper", 100, 500, (1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 50, 70, 85, 100))
    return design.replace(
        likelihood=LikelihoodPlan(
            method="trajectory",
            n_chains=500,
            final=LikelihoodMethod(method="bracket", n_betas=2000, n_chains=500, max_betas=16000),
        ),
        figure_options={"kurtosis": {"n_states": 7_000_000}},
    )


_LAPTOP_FIGURES: dict[str, dict[str, Any]] = {
    "kurtosis": {"n_states": 200_000},
    "rotational_symmetry": {"n_null": 8, "n_rotations": 2, "n_along": 10},
}


PROFILES: dict[str, Callable[[], StudyConfig]] = {"smoke": _smoke, "quick": _quick, "laptop": _laptop, "paper": _paper}


def profile(name: str) -> StudyConfig:
    """A built-in plan.

    Raises
    ------
    ConfigError : there is no such profile (with the nearest one)
    """
    if name not in PROFILES:
        raise ConfigError(f"there is no profile {name!r}; {nearest(name, PROFILES, 'the profiles')}")
    return PROFILES[name]()
