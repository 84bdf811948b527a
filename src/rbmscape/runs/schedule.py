"""Learning rate and averaging window as functions of the update's number alone: resuming needs no memory of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rbmscape.errors import InputError
from rbmscape.runs.config import TrainingConfig

__all__ = ["averaging_weight", "exposure", "learning_rate_factor"]


def learning_rate_factor(config: TrainingConfig, update: int, total_updates: int) -> float:
    """Factor on the learning rate for the update that follows ``update`` finished ones.

    Up to one along a straight line over the first ``warmup`` updates; one until ``decay_start`` of all updates are
    done; then down to zero at the end along a straight line ("linear") or half a cosine ("cosine").
    """
    return min(1.0, (update + 1) / (config.warmup + 1)) * _decay(config, update, total_updates)


def _decay(config: TrainingConfig, update: int, total_updates: int) -> float:
    start = config.decay_start * total_updates
    if config.schedule == "constant" or update <= start or total_updates <= start:
        return 1.0
    left = (total_updates - update) / (total_updates - start)
    return left if config.schedule == "linear" else 0.5 * (1.0 - math.cos(math.pi * left))


def exposure(config: TrainingConfig, updates: Sequence[int], total_updates: int) -> NDArray[np.float64]:
    """Sum of the learning rates of all updates before each checkpoint, over 1 - μ for SGD with momentum μ: the time of
    gradient flow, in which training is compared with theory.

    Parameters
    ----------
    config : a recipe with plain SGD; clipping, where it acts, shortens updates and is left out here
    updates : (T,) checkpoints
    total_updates : length of the whole training

    Returns
    -------
    (T,) float64

    Raises
    ------
    InputError : method "ptt", or Adam, whose steps do not follow the gradient's length
    """
    if config.optimizer != "sgd":
        raise InputError(
            f"optimizer {config.optimizer!r} does not move by learning rate times gradient, so that its training has "
            "no flow time; train with optimizer='sgd' to compare growth with theory"
        )
    if config.method == "ptt":
        raise InputError(
            "method 'ptt' sets its learning rate as its ladder allows, so that the recipe does not tell its flow time; "
            "train with method='pcd' to compare growth with theory"
        )
    last = max(updates, default=0)
    rates = [config.learning_rate * learning_rate_factor(config, update, total_updates) for update in range(last)]
    spent = np.concatenate([[0.0], np.cumsum(rates)]) / (1.0 - config.momentum)
    return np.asarray(spent[list(updates)])


def averaging_weight(window: int, update: int) -> float:
    """Share of the newest parameters in the running average after ``update`` updates.

    The window grows as ``1 + update / 10`` until it has its full length, so that the average follows the fast first
    updates and forgets the initial weights.
    """
    return 1.0 / min(float(window), 1.0 + update / 10.0)
