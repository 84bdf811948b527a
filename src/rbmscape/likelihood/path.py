r"""The annealing path from independent units to the model, and the states it starts from.

``E_t(v, h) = (1-t) E_0(v, h) + t E(v, h)`` (a geometric path between the Boltzmann weights), E the energy of equation 3
of arXiv:2503.21536 and ``E_0 = -a0·v - b0·h``.  At every t this is again an RBM: weights t W and biases
``(1-t) a0 + t a``, ``(1-t) b0 + t b``.

Which base.  a0 and b0 are the logits of the smoothed mean activities of *both* layers, under the data where they are
given.  A trained model's hidden biases cancel the mean input Wᵀ⟨v⟩ (its couplings act on fluctuations), so with b0 = 0,
or with b0 = b, the layers would first be driven far from the data and come back near t = 1; with fitted means in both
layers they stay where they are along the whole path, to first order in mean field.

Any base gives an unbiased estimate of Z, since it is chosen before and independently of the annealed chains.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rbmscape.brief import OneLine
from rbmscape.kernels.interface import Engine
from rbmscape.model.interpolate import interpolated
from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream
from rbmscape.sampling.rounded import log_weight, rounding

__all__ = ["AnnealingPath", "log_weight", "pilot_states", "rounding"]

_PILOT_CHAINS = 256
_PILOT_STEPS = 200
_ROWS = 2048


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AnnealingPath(OneLine):
    """Both ends of a path.

    Attributes
    ----------
    rbm : the model at t = 1
    base_visible, base_hidden : a0 (N,), b0 (M,) float32
    """

    rbm: RBM
    base_visible: Tensor
    base_hidden: Tensor

    @classmethod
    def fit(cls, rbm: RBM, visible: Tensor) -> AnnealingPath:
        """Base with the mean activities of the data, or where there are none of `pilot_states`.

        Parameters
        ----------
        visible : (n, N) entries 0 or 1

        Notes
        -----
        Means are smoothed by one imagined sample half on, half off: logits stay finite for constant pixels.
        """
        total = torch.zeros(rbm.n_hidden, dtype=torch.float64, device=rbm.device)
        mean = torch.zeros(rbm.n_visible, dtype=torch.float64, device=rbm.device)
        for rows in torch.split(visible, _ROWS):
            mean += rows.sum(0, dtype=torch.float64)
            total += rbm.hidden_probability(rows).sum(0, dtype=torch.float64)
        n = visible.shape[0]
        visible_logit, hidden_logit = (torch.logit((sums + 0.5) / (n + 1.0)) for sums in (mean, total))
        return cls(rbm, visible_logit.to(torch.float32), hidden_logit.to(torch.float32))

    @property
    def log_base(self) -> float:
        """ln Z at t = 0: Σ_i softplus(a0_i) + Σ_j softplus(b0_j); exact."""
        softplus = torch.nn.functional.softplus
        visible, hidden = (softplus(bias.to(torch.float64)).sum() for bias in (self.base_visible, self.base_hidden))
        return float(visible + hidden)

    def model_at(self, t: float) -> RBM:
        """The RBM at temperature parameter t in [0, 1]."""
        base = RBM(torch.zeros_like(self.rbm.weights), self.base_visible, self.base_hidden)
        return interpolated(base, self.rbm, t)

    def base_samples(self, n_chains: int, stream: Stream, draw: int = 0, first_chain: int = 0) -> Tensor:
        """(n_chains, N) uint8 independent states at t = 0."""
        uniform = stream.uniform(draw, n_chains, self.rbm.n_visible, first_chain, self.rbm.device)
        return (uniform < torch.sigmoid(self.base_visible)).to(torch.uint8)


def pilot_states(rbm: RBM, stream: Stream, engine: Engine) -> Tensor:
    """(256, N) uint8 states of short Gibbs chains from fair bits, to which a path's base is fitted."""
    sampler = engine.bind(rbm, _PILOT_CHAINS)
    start = stream.child("start").uniform(0, _PILOT_CHAINS, rbm.n_visible, 0, rbm.device) < 0.5
    sampler.v.copy_(start)
    sampler.sweep(stream, 0, _PILOT_STEPS)
    return sampler.v.to(torch.uint8)
