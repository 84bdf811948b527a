"""What is written down at a checkpoint: cheap quantities that show how training goes (no partition function needed)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor

from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream

__all__ = [
    "MAX_SAMPLES",
    "constant_hidden_units",
    "model_metrics",
    "pseudo_log_likelihood",
    "reconstruction_error",
    "top_singular_values",
    "training_objection",
]

MAX_SAMPLES: Final = 2000
N_SINGULAR_VALUES: Final = 10
RARE: Final = 1e-3


def reconstruction_error(rbm: RBM, visible: Tensor) -> float:
    """Mean |v - σ(W σ(Wᵀv + b) + a)| a pixel, between 0 and 1."""
    mean = rbm.visible_probability(rbm.hidden_probability(visible))
    return float((mean - rbm.as_visible(visible)).abs().mean())


def pseudo_log_likelihood(rbm: RBM, visible: Tensor, stream: Stream) -> float:
    """Estimate of Σ_i ln p(v_i | v_{-i}) a sample in nats, from one random pixel a sample.

    ``ln p(v_i | v_{-i}) = -softplus(F(v) - F(v with pixel i flipped))``, times the number of pixels.
    """
    samples = rbm.as_visible(visible)
    generator = stream.numpy(0)
    pixels = torch.from_numpy(generator.integers(0, rbm.n_visible, samples.shape[0])).to(samples.device)[:, None]
    flipped = samples.scatter(1, pixels, 1.0 - samples.gather(1, pixels))
    difference = rbm.free_energy(samples) - rbm.free_energy(flipped)
    return -float(torch.nn.functional.softplus(difference).mean()) * rbm.n_visible


def top_singular_values(weights: Tensor, count: int = N_SINGULAR_VALUES) -> list[float]:
    """Largest singular values of W, from the eigenvalues of the smaller Gram matrix in float64."""
    double = weights.to(torch.float64)
    gram = double @ double.T if double.shape[0] <= double.shape[1] else double.T @ double
    values = torch.linalg.eigvalsh(gram).clamp_min(0.0).sqrt().flip(0)
    return [float(value) for value in values[:count]]


def model_metrics(rbm: RBM, train: Tensor, test: Tensor | None, chains: Tensor, seed: int) -> dict[str, Any]:
    """Metrics of one model on at most 2000 samples of each set.

    Parameters
    ----------
    rbm : the model that the checkpoint reports
    train, test : (n, N) uint8; the test set may be absent
    chains : (C, N) visible states of the negative phase
    seed : of the pixels that the pseudo-likelihood looks at

    Returns
    -------
    reconstruction_error, pseudo_log_likelihood (nats a sample), free_energy_{train,test,chains} (k_B T),
    free_energy_gap (test minus train), singular_values, chain_activity, chain_spread, constant_hidden_units (those that
    have one value for all data)
    """
    stream = Stream(seed, "training/metrics")
    held = test if test is not None and test.shape[0] else None
    reference = (train if held is None else held)[:MAX_SAMPLES]
    free_train = float(rbm.free_energy(train[:MAX_SAMPLES]).mean())
    free_test = float(rbm.free_energy(reference).mean()) if held is not None else math.nan
    free_chains = rbm.free_energy(chains)
    return {
        "reconstruction_error": reconstruction_error(rbm, reference),
        "pseudo_log_likelihood": pseudo_log_likelihood(rbm, reference, stream),
        "free_energy_train": free_train,
        "free_energy_test": free_test,
        "free_energy_gap": free_test - free_train,
        "free_energy_chains": float(free_chains.mean()),
        "chain_spread": float(free_chains.std()) if chains.shape[0] > 1 else math.nan,
        "chain_activity": float(rbm.as_visible(chains).mean()),
        "singular_values": top_singular_values(rbm.weights),
        "constant_hidden_units": constant_hidden_units(rbm, reference),
    }


def constant_hidden_units(rbm: RBM, visible: Tensor) -> int:
    """Hidden units that are off, or on, with a mean probability of at least 0.999 over the samples."""
    mean = rbm.hidden_probability(visible).mean(0)
    return int(((mean < RARE) | (mean > 1.0 - RARE)).sum())


def training_objection(metrics: Mapping[str, Any], start: Mapping[str, Any], n_hidden: int) -> str | None:
    """What shows that a training has gone wrong, in a sentence with its remedy, or None.

    A pseudo-likelihood a tenth below that of the untrained model is no fluctuation; it has an error of a few nats.

    Parameters
    ----------
    metrics, start : of a checkpoint and of the first one
    n_hidden : units of the hidden layer
    """
    now, before = (row.get("pseudo_log_likelihood") for row in (metrics, start))
    if now is not None and before is not None and now < before - 0.1 * abs(before) - 1.0:
        return (
            f"the pseudo-log-likelihood, {now:.1f}, is below that of the untrained model, {before:.1f}: "
            "take a smaller learning rate, and do not switch off clipping"
        )
    constant, at_start = (row.get("constant_hidden_units", 0) for row in (metrics, start))
    if 2 * constant > n_hidden and constant > at_start:
        return (
            f"{constant} of {n_hidden} hidden units have one value for all data: "
            "take a smaller learning rate, fewer units or a weaker penalty"
        )
    return None
