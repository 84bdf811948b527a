"""The model before the first update: W ~ Normal(0, weight_std²), b = 0, a as the recipe says."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream
from rbmscape.runs.config import TrainingConfig
from rbmscape.training.rows import Rows

__all__ = ["first_chains", "initial_model", "longest_gradient", "smoothed_logit"]


def smoothed_logit(visible: Rows) -> Tensor:
    """ln(p / (1 - p)) of p = (Σ v + 1) / (n + 2), (N,) float64: finite also for constant columns."""
    p = (visible.sum(0, dtype=torch.float64) + 1.0) / (visible.shape[0] + 2.0)
    return torch.logit(p)


def initial_model(train: Rows, config: TrainingConfig, dtype: torch.dtype) -> RBM:
    """Untrained model for a recipe, on the device of the data.

    Parameters
    ----------
    train : (n, N) uint8
    config : gives n_hidden, weight_std, visible_bias_init and the seed
    dtype : of the parameters
    """
    generator = Stream(config.seed, "training/initial").numpy()
    n_visible = train.shape[1]
    weights = torch.from_numpy(generator.standard_normal((n_visible, config.n_hidden))) * config.weight_std
    if config.visible_bias_init == "data":
        visible_bias = smoothed_logit(train).cpu()
    elif config.visible_bias_init == "normal":
        visible_bias = torch.from_numpy(generator.standard_normal(n_visible)) * config.weight_std
    else:
        visible_bias = torch.zeros(n_visible, dtype=torch.float64)
    model = RBM(weights, visible_bias, torch.zeros(config.n_hidden, dtype=torch.float64))
    return model.to(device=train.device, dtype=dtype)


def first_chains(train: Rows, stream: Stream, n_chains: int) -> Tensor:
    """Rows of the training data, each at most once more often than any other.

    Parameters
    ----------
    train : (n, N)
    stream : picks the rows
    """
    n_train = len(train)
    picks = torch.from_numpy(stream.numpy().permutation(n_train))
    return train[picks.repeat(-(-n_chains // n_train))[:n_chains]]


def longest_gradient(config: TrainingConfig, n_visible: int, batch_size: int, n_chains: int) -> float:
    """Length to which clipping shortens longer gradients; 0 where nothing is clipped."""
    per_sample = 1.0 / batch_size + 1.0 / n_chains
    return config.clip * math.sqrt(n_visible * config.n_hidden * per_sample)
