r"""Overlaps of replicas: how alike two independent equilibrium states of a model are, visible and hidden.

For states s = 2v - 1 of two chains the overlap is ``q = (1/N) Σ_i s_i^a s_i^b``, between -1 and 1; with means taken off
and units scaled, ``q_c = (1/N) Σ_i (v_i^a - m_i)(v_i^b - m_i)/(m_i(1 - m_i))``, it is 0 on average and 1 for a pair of
equal states of fair bits.  Independent units give q_c a Gaussian of variance 1/N; in the bipartite Curie-Weiss model q
is ``m_a m_b`` within 1/√N, one peak below the transition and two at ±m² beyond; a distribution with a continuous part
is what spin glasses have.  ``⟨q⟩`` and ``⟨q²⟩`` are averages over pairs of chains, which are not independent pairs:
estimates are U-statistics over chains, and their errors come from leaving out chains (the jackknife).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rbmscape.arguments import checked
from rbmscape.arrays import real_array, training_rows
from rbmscape.brief import OneLine
from rbmscape.checks import check_count
from rbmscape.errors import ShapeError
from rbmscape.model.arrays import Arrays
from rbmscape.stats import Estimate

__all__ = ["Overlaps", "layer_overlaps"]

FloatArray = NDArray[np.float64]
_FEWEST_CHANGES: Final = 5.0


@dataclass(frozen=True, eq=False, repr=False)
class Overlaps(OneLine):
    """Distribution of the overlap of one layer.

    Attributes
    ----------
    edges : (B + 1,) of the histogram
    density : (B,) of q over pairs of different chains; integrates to 1
    density_stderr : (B,) jackknife errors over chains
    mean, square : ⟨q⟩ and ⟨q²⟩
    binder : 1 - ⟨q⁴⟩/3⟨q²⟩² of the centred overlap about 0; NaN where no unit changes
    centred_square : ⟨q_c²⟩ of the centred and scaled overlap over the n units that change often enough for a variance
        of their own (n_chains m(1-m) of five or more); 1/n if they are independent
    moving : n
    """

    edges: FloatArray
    density: FloatArray
    density_stderr: FloatArray
    mean: Estimate
    square: Estimate
    binder: Estimate
    centred_square: Estimate
    moving: int

    def _headline(self) -> str:
        return f"⟨q⟩ {self.mean}, ⟨q²⟩ {self.square}, centred ⟨q²⟩ {self.centred_square}"


@checked
def layer_overlaps(data: Arrays, n_bins: int = 101) -> Overlaps:
    """Overlaps of all pairs of independent states of one layer.

    Parameters
    ----------
    data : (n_chains, N) one state a chain, visible or hidden, which must be independent; or a `Dataset`, of which the
        training rows are meant
    n_bins : bins of the histogram over [-1, 1]; overlaps of N units come in steps of 2/N, so that no more than N + 1
        bins are used, each around the same number of steps

    Raises
    ------
    ShapeError : fewer than four chains
    """
    check_count("n_bins", n_bins)
    states = real_array(training_rows(data, "overlaps"), "data")
    if states.ndim != 2 or states.shape[0] < 4:
        raise ShapeError(f"overlaps need (n_chains >= 4, N) states, one a chain, found {states.shape}")
    count, units = states.shape
    spins = 2 * states - 1
    overlap = spins @ spins.T / units
    mean = states.mean(0)
    scale = mean * (1 - mean)
    moving = scale * count >= _FEWEST_CHANGES
    # Means of the same chains pull centred overlaps of pairs down by 1/(n - 1): that is put back.
    whitened = (states - mean)[:, moving] / np.sqrt(scale[moving])
    centred = whitened @ whitened.T / max(1, int(moving.sum())) + 1 / (count - 1)
    edges = _edges(units, n_bins)
    bins = edges.size - 1
    place = np.clip(np.digitize(overlap, edges) - 1, 0, bins - 1)
    rows = np.stack([np.bincount(np.delete(place[k], k), minlength=bins) for k in range(count)]).astype(np.float64)
    density, density_error = _jackknife(rows / (count - 1))
    width = np.diff(edges)
    powers = [_off_diagonal(overlap), _off_diagonal(overlap**2), _off_diagonal(centred**2), _off_diagonal(centred**4)]
    value, error = _jackknife(np.stack(powers, axis=1))
    return Overlaps(
        edges=edges,
        density=density / width,
        density_stderr=density_error / width,
        mean=Estimate(float(value[0]), float(error[0])),
        square=Estimate(float(value[1]), float(error[1])),
        binder=_binder(np.stack(powers[2:], axis=1)) if moving.any() else Estimate(math.nan, math.nan),
        centred_square=Estimate(float(value[2]), float(error[2])),
        moving=int(moving.sum()),
    )


def _edges(units: int, n_bins: int) -> FloatArray:
    """Edges halfway between possible values, each bin with as many of them."""
    steps = max(1, math.ceil((units + 1) / n_bins))
    count = math.ceil((units + 1) / steps)
    return np.asarray(-1 + (2 * steps * np.arange(count + 1) - 1) / units)


def _off_diagonal(values: FloatArray) -> FloatArray:
    """Mean over the other chains for each chain, (n_chains,)."""
    return np.asarray((values.sum(1) - np.diagonal(values)) / (len(values) - 1))


def _jackknife(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean of a pair statistic and its error, from its means over the partners of each chain, (n_chains, k).

    Leaving out chain k from the mean over pairs leaves ``(n θ - 2 r_k)/(n - 2)``, r_k its mean over partners.
    """
    count = len(rows)
    value = rows.mean(0)
    spread = ((rows - value) ** 2).sum(0) * (2 / (count - 2)) ** 2
    return value, np.sqrt((count - 1) / count * spread)


def _binder(powers: FloatArray) -> Estimate:
    """Of second and fourth moments over partners, (n_chains, 2)."""
    count = len(powers)
    total = powers.mean(0)
    left = (count * total - 2 * powers) / (count - 2)
    values = 1 - left[:, 1] / (3 * left[:, 0] ** 2)
    error = math.sqrt((count - 1) / count * float(((values - values.mean()) ** 2).sum()))
    return Estimate(float(1 - total[1] / (3 * total[0] ** 2)), error)
