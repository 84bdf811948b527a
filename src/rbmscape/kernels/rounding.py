r"""Weights as 16-bit integers of one scale, such that no product with a binary state overflows.

``W ≈ s q``.  The scale is the smallest of the form ``m 2**e``, m in 8..15, for which the largest possible sum of either
sign, over any row or column of q, fits into 16 bits.  With so few significant bits s q and every sum of its terms is
exact in float32, so that an engine that multiplies floats reaches the same pre-activations.  The scale follows from
sums of integers, which do not depend on the order of their terms, so that it is the same for any number of threads.

Both products of a Gibbs step use the same q: sampling is exact for the rounded model.  Rounding moves the energy of a
state by about ``s sqrt(n_active / 12)`` k_B T, where n_active counts the pairs of active units, and the pre-activation
of a unit by ``s sqrt(n / 12)``, where n counts the active units of the other layer; with models of MNIST s is 0.002 to
0.008.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

__all__ = ["LARGEST", "MINUS_LOG2_E", "POWER", "SUM_BITS", "coarse_factor", "next_scale", "round_to_fixed", "scale_for"]

LARGEST = 32767
MINUS_LOG2_E: Final = -1.4426950408889634
POWER: Final = (0.99999994, 0.693153024, 0.240153819, 0.0558261722, 0.00898912735, 0.00187778415)
"""2**f for 0 <= f <= 1, least relative deviation (8e-8) of all polynomials of degree 5, constant term first."""
_STEPS = 16
SUM_BITS = 30


def coarse_factor(largest: float, n_units: int) -> float:
    """Power of two p for which sums of n_units integers ``rint(p w)``, |w| at most `largest`, fit into 31 bits."""
    if not 0.0 < largest < math.inf:
        return 0.0
    bits = SUM_BITS - math.ceil(math.log2(n_units + 1))
    return math.ldexp(1.0, bits - math.frexp(largest)[1])


def scale_for(coarse_sum: int, factor: float, n_units: int) -> float:
    """Smallest allowed scale at which a sum of n_units rounded weights should fit.

    Rounding errors of random sign are allowed for; the caller checks the integers and takes `next_scale` if they do
    not fit after all.

    Parameters
    ----------
    coarse_sum, factor : largest sum of the integers ``rint(factor w)`` of one sign in a row or column, and the factor
    n_units : length of the longer side
    """
    if coarse_sum < 1 or factor == 0.0:
        return 1.0
    room = max(1.0, LARGEST - min(n_units / 2.0, 2.0 * math.sqrt(n_units)))
    fraction, exponent = math.frexp((coarse_sum + math.sqrt(n_units)) / factor / room)
    return math.ldexp(math.ceil(_STEPS * fraction) / _STEPS, exponent)


def next_scale(scale: float) -> float:
    """The next larger allowed scale."""
    fraction, exponent = math.frexp(scale)
    return math.ldexp((_STEPS * fraction + 1) / _STEPS, exponent)


def _largest_sum(integers: Tensor) -> int:
    """Largest sum of the positive, or of the negative, entries of any row or column."""
    parts = integers.clamp(min=0), (-integers).clamp(min=0)
    return int(max(int(part.sum(axis).amax()) for part in parts for axis in (0, 1)))


def round_to_fixed(weights: Tensor) -> tuple[Tensor, float]:
    """The definition in plain torch; `rbmscape.kernels.integers.engine` has the fast one.

    Parameters
    ----------
    weights : (N, M); any that is not finite makes all integers 0

    Returns
    -------
    integers q, (N, M) float64, and the scale s; no sum of a part of a row or column of q leaves [-32767, 32767]
    """
    exact = weights.detach().to(torch.float64)
    n_units = max(exact.shape)
    factor = coarse_factor(float(exact.abs().amax()), n_units)
    if factor == 0.0:
        return torch.zeros_like(exact), 1.0
    scale = scale_for(_largest_sum(torch.round(exact * factor)), factor, n_units)
    while True:
        integers = torch.round(exact * (1.0 / scale))
        if _largest_sum(integers) <= LARGEST:
            return integers, scale
        scale = next_scale(scale)
