r"""Free energies of a bipartite binary model by expansion in the couplings, and their stationarity conditions.

    βF = Σ s̃(m) + Σ s̃(n) - β(a·m + b·n + mᵀWn)                                      order 1: naive mean field, eq. (26)
         - (β²/2) Σ W_ij² m_i(1-m_i) n_j(1-n_j)                                       order 2: TAP, Onsager's reaction
         - (2β³/3) Σ W_ij³ m_i(1-m_i)(½-m_i) n_j(1-n_j)(½-n_j)                        order 3

with s̃(m) = m ln m + (1-m) ln(1-m) (Plefka 1982; Gabrié, Tramel and Krzakala, arXiv:1506.02914, for the RBM).  Order 1
is the effective potential U_eff of arXiv:2503.21536 in bit coordinates.  There are no loops of length three in a
bipartite graph, so that order 3 is complete.  Shapes: m (..., N), n (..., M); everything float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from rbmscape.brief import OneLine
from rbmscape.model.rbm import RBM

__all__ = ["Ensemble", "MeanFieldProblem", "iterate"]


def _entropy(activity: Tensor) -> Tensor:
    nats: Tensor = -(torch.special.xlogy(activity, activity) + torch.special.xlogy(1 - activity, 1 - activity)).sum(-1)
    return nats


@dataclass(frozen=True, eq=False, repr=False)
class MeanFieldProblem(OneLine):
    """The stationarity conditions m = σ(β D(m, n)), n = σ(β C(m, n)) of one order's free energy.

    Attributes
    ----------
    weights, visible_bias, hidden_bias : (N, M), (N,), (M,) float64
    beta : inverse temperature
    order : 1, 2 or 3
    """

    weights: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor
    beta: float
    order: int = 1

    def _headline(self) -> str:
        return (
            f"{self.weights.shape[0]} visible, {self.weights.shape[1]} hidden, order {self.order}, beta {self.beta:g}"
        )

    @classmethod
    def of(cls, rbm: RBM, beta: float, order: int = 1) -> MeanFieldProblem:
        """The problem of a model, in float64 on its device."""
        parameters = (rbm.weights.double(), rbm.visible_bias.double(), rbm.hidden_bias.double())
        return cls(*parameters, beta=beta, order=order)

    @cached_property
    def _powers(self) -> tuple[Tensor, Tensor]:
        squared = self.weights.square()
        return squared, squared * self.weights

    def visible(self, m: Tensor, n: Tensor) -> Tensor:
        """Right-hand side for m: (..., N)."""
        field = n @ self.weights.mT + self.visible_bias
        return torch.sigmoid(self.beta * self._with_reaction(field, m, n, transpose=True))

    def hidden(self, m: Tensor, n: Tensor) -> Tensor:
        """Right-hand side for n: (..., M)."""
        field = m @ self.weights + self.hidden_bias
        return torch.sigmoid(self.beta * self._with_reaction(field, n, m, transpose=False))

    def _with_reaction(self, field: Tensor, own: Tensor, other: Tensor, *, transpose: bool) -> Tensor:
        if self.order == 1:
            return field
        squared, cubed = (power.mT if transpose else power for power in self._powers)
        variance = other * (1 - other)
        field = field + self.beta * (0.5 - own) * (variance @ squared)
        if self.order == 3:
            slope = 0.5 - 3 * own * (1 - own)
            field = field + (2 / 3) * self.beta**2 * slope * ((variance * (0.5 - other)) @ cubed)
        return field

    def free_energy(self, m: Tensor, n: Tensor) -> Tensor:
        """F(m, n) in units of k_B T at beta = 1, an approximation of -ln Z / β at its stationary points: (...,)."""
        coupled = ((m @ self.weights + self.hidden_bias) * n).sum(-1)
        energy = -(m @ self.visible_bias) - coupled - (_entropy(m) + _entropy(n)) / self.beta
        if self.order == 1:
            return energy
        squared, cubed = self._powers
        first, second = m * (1 - m), n * (1 - n)
        energy = energy - self.beta / 2 * ((first @ squared) * second).sum(-1)
        if self.order == 3:
            skewed = ((first * (0.5 - m)) @ cubed) * second * (0.5 - n)
            energy = energy - (2 / 3) * self.beta**2 * skewed.sum(-1)
        return energy


@dataclass(eq=False, repr=False)
class Ensemble(OneLine):
    """Starts of an iteration and how far each came.

    Attributes
    ----------
    m, n : (K, N), (K, M) activities
    residual : (K,) largest change of an activity in the last iteration
    iterations : (K,) iterations done
    """

    m: Tensor
    n: Tensor
    residual: Tensor
    iterations: Tensor


def iterate(
    problem: MeanFieldProblem, m: Tensor, n: Tensor, damping: float, tolerance: float, max_iterations: int
) -> Ensemble:
    """Alternate the two layers until every row is converged; converged rows drop out of the work.

    Parameters
    ----------
    m, n : (K, N), (K, M) starts, in the dtype of the problem
    damping : share of the old activities kept at each step, in [0, 1)
    tolerance, max_iterations : a row stops where no activity changes by more than the first, or after the second
    """
    state = Ensemble(
        m.clone(), n.clone(), m.new_full(m.shape[:1], torch.inf), torch.zeros(m.shape[0], dtype=torch.int64)
    )
    active = torch.arange(m.shape[0], device=m.device)
    for step in range(1, max_iterations + 1):
        m_old, n_old = state.m[active], state.n[active]
        n_new = torch.lerp(problem.hidden(m_old, n_old), n_old, damping)
        m_new = torch.lerp(problem.visible(m_old, n_new), m_old, damping)
        change = torch.maximum((m_new - m_old).abs().amax(-1), (n_new - n_old).abs().amax(-1)) / (1 - damping)
        state.m[active], state.n[active] = m_new, n_new
        state.residual[active], state.iterations[active.cpu()] = change, step
        active = active[change >= tolerance]
        if active.numel() == 0:
            break
    return state
