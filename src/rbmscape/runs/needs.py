"""Memory that a training takes, by arithmetic."""

from __future__ import annotations

from typing import Final

from rbmscape.memory import check_memory
from rbmscape.runs.config import TrainingConfig
from rbmscape.runs.optimizers import OPTIMIZERS

__all__ = ["FLOAT", "check_training", "n_parameters", "training_memory"]

FLOAT: Final = 4
COPIES: Final = 6
"""Of the parameters while a model trains, beside the optimiser's: themselves, gradient, average, two forms for
sampling, checkpoint."""


def n_parameters(n_visible: int, hidden: int) -> int:
    """Weights and biases."""
    return n_visible * hidden + n_visible + hidden


def training_memory(recipe: TrainingConfig, n_visible: int, n_train: int) -> int:
    """Bytes that parameters, minibatch, chains and reservoir take, beside the data."""
    rows = min(recipe.batch_size, n_train) + (0 if recipe.method == "cd" else recipe.n_chains)
    copies = COPIES + OPTIMIZERS[recipe.optimizer].state(recipe)
    units = n_visible + recipe.n_hidden
    return FLOAT * (copies * n_parameters(n_visible, recipe.n_hidden) + 3 * rows * units) + recipe.reservoir * units


def check_training(recipe: TrainingConfig, n_visible: int, n_train: int) -> None:
    """Refuse a training that this machine cannot hold, before anything is written.

    Raises
    ------
    InputError : it needs more memory than there is
    """
    needed = training_memory(recipe, n_visible, n_train)
    check_memory(needed, f"a training with M = {recipe.n_hidden} and {recipe.n_chains} chains", "take fewer of both")
