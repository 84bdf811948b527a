"""The same sweep in other packages: rbms 0.5.0 (PyTorch) and scikit-learn's BernoulliRBM.

Each maker returns a task and the number of full sweeps in it, or None where the package is not installed
(``pip install rbmscape[bench]``).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch

from rbmscape.rng import Stream

Shape = tuple[int, int, int]
Maker = Callable[[Shape], tuple[Callable[[], object], int]]


def _weights(shape: Shape) -> np.ndarray:
    return Stream(0, "bench").numpy().normal(0.0, 0.1, shape[1:]).astype(np.float32)


def rbms_sweep(n_steps: int) -> Maker:
    """`sample_state` with n_steps; it ends with a third half-step, so a call of one step does 1.5 sweeps of work."""

    def make(shape: Shape) -> tuple[Callable[[], object], int]:
        from rbms.bernoulli_bernoulli.classes import BBRBM

        weights = torch.from_numpy(_weights(shape))
        model = BBRBM(weights, torch.zeros(shape[1]), torch.zeros(shape[2]))
        chains = model.init_chains(shape[0])
        return lambda: model.sample_state(chains, n_steps), n_steps

    return make


def sklearn_sweep(shape: Shape) -> tuple[Callable[[], object], int]:
    """`BernoulliRBM.gibbs`, one sweep a call, float32."""
    from sklearn.neural_network import BernoulliRBM

    model = BernoulliRBM(n_components=shape[2], random_state=0)
    model.components_ = np.ascontiguousarray(_weights(shape).T)
    model.intercept_hidden_, model.intercept_visible_ = (np.zeros(n, np.float32) for n in (shape[2], shape[1]))
    model.random_state_ = np.random.RandomState(0)
    model._n_features_out = shape[2]
    v = Stream(0, "bench/chains").uniform(0, shape[0], shape[1]).numpy() < 0.5
    v = v.astype(np.float32)
    return lambda: model.gibbs(v), 1


def available() -> dict[str, Maker]:
    """Makers of the installed peers."""
    makers: dict[str, Maker] = {}
    if find_spec("rbms"):
        makers |= {"rbms": rbms_sweep(10), "rbms, one step a call": rbms_sweep(1)}
    if find_spec("sklearn"):
        makers["scikit-learn"] = sklearn_sweep
    return makers
