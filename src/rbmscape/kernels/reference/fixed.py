r"""Precision ``fixed`` in plain torch, bit for bit: what every engine of that precision has to draw and to return.

Weights are the integers of `rbmscape.kernels.rounding`; ``t = -x / ln 2`` is one fused multiplication and addition of
float32 from a product and a field, ``2**t`` a polynomial of degree 5 in its fraction, which is rounded down, and a unit
is active where ``u (1 + 2**t) < 1`` with the uniform numbers of `rbmscape.rng`.  The gradient goes by integers, too:
weights in units 2**-15 times the sampler's, weighted hidden means in units of 2**-30.

Fused operations go by float64, which holds the product exactly; the sum, rounded twice, is wrong once in 2**29.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from rbmscape.kernels.rounding import MINUS_LOG2_E, POWER, round_to_fixed
from rbmscape.rng import Stream

__all__ = ["exact_gradient", "exact_half_step", "power_of_two"]

FINER: Final = 2.0**15
UNIT: Final = 2.0**30
_EDGE: Final = 64.0


def _fused(a: Tensor, b: Tensor | float, c: Tensor | float) -> Tensor:
    """a b + c of float32, rounded once."""
    wide = (x.to(torch.float64) if isinstance(x, Tensor) else x for x in (b, c))
    factor, summand = wide
    return (a.to(torch.float64) * factor + summand).to(torch.float32)


def _single(value: float) -> float:
    return float(torch.tensor(value, dtype=torch.float64).to(torch.float32))


def power_of_two(t: Tensor) -> Tensor:
    """2**t of float32, and that of ±64 beyond, which no comparison and no mean can tell from it."""
    t = t.clamp(-_EDGE, _EDGE)
    whole = t.floor()
    fraction = t - whole
    above = fraction.to(torch.float64) + whole.to(torch.float64) > t.to(torch.float64)
    fraction = torch.where(above, torch.nextafter(fraction, torch.zeros_like(fraction)), fraction)
    power = torch.full_like(t, POWER[-1])
    for coefficient in reversed(POWER[:-1]):
        power = _fused(power, fraction, _single(coefficient))
    return (power.view(torch.int32) + (whole.to(torch.int32) << 23)).view(torch.float32)


def _exponents(products: Tensor, unit: float, bias: Tensor) -> Tensor:
    """T of integers products (…, n) and a bias (n,) float32."""
    return _fused(products.to(torch.float32), _single(MINUS_LOG2_E * unit), bias * MINUS_LOG2_E)


def exact_half_step(
    given: Tensor, weights: Tensor, bias: Tensor, to_hidden: bool, stream: Stream, draw: int, first_chain: int = 0
) -> Tensor:
    """Units drawn given those of the other layer.

    Parameters
    ----------
    given : (n_chains, n) entries 0 or 1
    weights : (N, M) not rounded
    bias : of the drawn layer

    Returns
    -------
    (n_chains, other n) uint8
    """
    integers, scale = round_to_fixed(weights)
    products = given.to(torch.float64) @ (integers if to_hidden else integers.T)
    power = power_of_two(_exponents(products, scale, bias.to(torch.float32)))
    uniform = stream.uniform(draw, len(given), bias.shape[0], first_chain)
    return (_fused(uniform, power, uniform) < 1.0).to(torch.uint8)


def exact_gradient(data: Tensor, chains: Tensor, weights: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gradient of the weights, of the hidden biases, and mean over the data of the hidden means; float32.

    Parameters
    ----------
    data, chains : (B, N), (C, N) entries 0 or 1
    weights, bias : (N, M), (M,) float32, not rounded
    """
    _, scale = round_to_fixed(weights)
    unit = scale / FINER
    states = torch.cat((data, chains)).to(torch.float64)
    products = states @ torch.round(weights.to(torch.float64) * (1.0 / unit))
    power = power_of_two(_exponents(products, unit, bias))
    parts = (data, UNIT), (chains, -UNIT)
    shares = [torch.full((len(rows),), unit, dtype=torch.float32) / len(rows) for rows, unit in parts]
    means = torch.round(torch.cat(shares)[:, None] / (power + 1.0)).to(torch.float64)
    first, second = (states.T @ means).to(torch.float32) * (1.0 / UNIT), means.sum(0) / UNIT
    return first, second.to(torch.float32), (means[: len(data)].sum(0) / UNIT).to(torch.float32)
