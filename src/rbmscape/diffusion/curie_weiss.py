r"""The bipartite Curie-Weiss model: one mode that couples all units alike, solved exactly for any size.

``W = λ 11ᵀ/√(NM)`` with biases that make 0 and 1 symmetric, at the dressed value d = λ/4.  In spins ±1 the energy is
``-d S T/√(NM)`` with S and T the sums of the two layers, so that everything is a double sum over the binomially
distributed numbers of active units, and block Gibbs sampling is a Markov chain on 0..N.  A mode of a trained model with
vectors spread over all units behaves like it: here are the known answers for finite-size scaling, relaxation and
hysteresis.  In the limit of large layers of equal size with a field h on every spin the mean magnetisation solves

    m = tanh(d m + h);    d m_s - artanh m_s = h_s at m_s = √(1 - 1/d)

where the state against the field loses its stability (the spinodal).  Everything is exact to rounding, float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rbmscape.arguments import checked
from rbmscape.brief import OneLine
from rbmscape.checks import check_count, is_number, shown
from rbmscape.errors import InputError
from rbmscape.model.rbm import RBM

__all__ = ["CurieWeiss", "spinodal"]

FloatArray = NDArray[np.float64]


def spinodal(dressed: float) -> tuple[float, float]:
    """m_s = √(1 - 1/d) and h_s = d m_s - artanh m_s of equal, infinite layers: the field at which m < 0 turns over.

    Raises
    ------
    InputError : d of 1 or less, where there is one state only
    """
    if not dressed > 1:
        raise InputError(f"a spinodal needs two states, which exist for dressed values above 1; found {dressed:g}")
    magnetisation = math.sqrt(1 - 1 / dressed)
    return magnetisation, dressed * magnetisation - math.atanh(magnetisation)


@dataclass(frozen=True, repr=False)
class CurieWeiss(OneLine):
    """Bipartite Curie-Weiss model.

    Attributes
    ----------
    n_visible, n_hidden : units N and M
    dressed : d = λ/4 >= 0; the transition of large layers is at 1
    field : h >= 0 or < 0 on every spin of both layers
    """

    n_visible: int
    n_hidden: int
    dressed: float
    field: float = 0.0

    def __post_init__(self) -> None:
        check_count("n_visible", self.n_visible)
        check_count("n_hidden", self.n_hidden)
        numbers = is_number(self.dressed) and is_number(self.field)
        if not numbers or not (math.isfinite(self.dressed) and self.dressed >= 0 and math.isfinite(self.field)):
            raise InputError(
                f"the dressed value must be finite and not negative and the field finite, found "
                f"{shown(self.dressed)} and {shown(self.field)}"
            )

    def rbm(self) -> RBM:
        """The model as an RBM in float64."""
        weights = np.full((self.n_visible, self.n_hidden), 4 * self.dressed / math.sqrt(self.n_visible * self.n_hidden))
        return RBM(weights, 2 * self.field - weights.sum(1) / 2, 2 * self.field - weights.sum(0) / 2)

    def layer_distribution(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Magnetisations s = S/N (N + 1,) and t = T/M (M + 1,), and their joint probabilities (N + 1, M + 1)."""
        from scipy.special import gammaln

        up, down = np.arange(self.n_visible + 1), np.arange(self.n_hidden + 1)
        s, t = 2 * up / self.n_visible - 1, 2 * down / self.n_hidden - 1
        log_p = (-gammaln(up + 1) - gammaln(self.n_visible - up + 1) + self.field * self.n_visible * s)[:, None]
        log_p = log_p - gammaln(down + 1) - gammaln(self.n_hidden - down + 1) + self.field * self.n_hidden * t
        log_p += self.dressed * math.sqrt(self.n_visible * self.n_hidden) * np.outer(s, t)
        p = np.exp(log_p - log_p.max())
        return s, t, p / p.sum()

    def moments(self) -> tuple[float, float]:
        """Fluctuation ratio R = 4⟨u²⟩ and Binder cumulant 1 - ⟨u⁴⟩/3⟨u²⟩² of u = (x + y)/√2 about the centre.

        R is 1 for independent bits and 1/(1 - d) in Gaussian theory.
        """
        s, t, p = self.layer_distribution()
        u = (math.sqrt(self.n_visible) * s[:, None] + math.sqrt(self.n_hidden) * t) / math.sqrt(8.0)
        second, fourth = float((p * u**2).sum()), float((p * u**4).sum())
        return 4 * second, 1 - fourth / (3 * second**2)

    def kernel(self) -> FloatArray:
        """Transition matrix (N + 1, N + 1) of the number of active visible units in one Gibbs sweep; rows sum to 1."""
        from scipy.special import expit
        from scipy.stats import binom

        up, down = np.arange(self.n_visible + 1), np.arange(self.n_hidden + 1)
        ratio = math.sqrt(self.n_visible / self.n_hidden)
        hidden = expit(2 * (self.dressed * ratio * (2 * up / self.n_visible - 1) + self.field))
        visible = expit(2 * (self.dressed / ratio * (2 * down / self.n_hidden - 1) + self.field))
        there: FloatArray = np.asarray(binom.pmf(down, self.n_hidden, hidden[:, None]))
        back: FloatArray = np.asarray(binom.pmf(up, self.n_visible, visible[:, None]))
        return there @ back

    @checked
    def eigenvalues(self, count: int = 2) -> FloatArray:
        """Leading eigenvalues of the Gibbs kernel, falling, the first one 1; (count,).

        The chain is reversible: its kernel is similar to a symmetric matrix, whose eigenvalues are computed.
        """
        from scipy.linalg import eigh

        check_count("count", count)
        weight = np.sqrt(self.layer_distribution()[2].sum(1))
        kernel = self.kernel()
        with np.errstate(divide="ignore", invalid="ignore"):
            symmetric = np.where(weight > 0, weight[:, None] * kernel / weight, 0.0)
        symmetric = (symmetric + symmetric.T) / 2
        size = self.n_visible + 1
        first = max(0, size - count)
        values = eigh(symmetric, eigvals_only=True, subset_by_index=[first, size - 1])
        return np.asarray(values[::-1])

    def relaxation_time(self) -> float:
        """τ = -1/ln λ₂ in sweeps, λ₂ the second eigenvalue of the Gibbs kernel."""
        second = float(self.eigenvalues(2)[1])
        return -1 / math.log(second) if 0 < second < 1 else (0.0 if second <= 0 else math.inf)

    @checked
    def magnetisation(self, start: float = 1.0, iterations: int = 100_000) -> tuple[float, float]:
        """Mean-field magnetisations of both layers, followed from a start: m = tanh(d√(M/N) n + h), n likewise.

        Returns
        -------
        (m, n) to 1e-14; the metastable state if the start lies in its basin
        """
        ratio = math.sqrt(self.n_visible / self.n_hidden)
        m, n = start, start
        for _ in range(iterations):
            n = math.tanh(self.dressed * ratio * m + self.field)
            before, m = m, math.tanh(self.dressed / ratio * n + self.field)
            if abs(m - before) < 1e-15:
                break
        return m, n
