r"""Couplings of the visible units alone: what the hidden layer does to them, exactly, to any number of bodies.

Summing out the hidden units leaves ``-F(v) = a·v + Σ_j softplus(y_j)``, ``y_j = b_j + Σ_i W_ij v_i``, an energy of
visible bits.  Written as ``Σ_S J_S Π_{i∈S} v_i`` its couplings are a Möbius inversion,

    J_S = Σ_j Σ_{T⊆S} (-1)^{|S|-|T|} softplus(b_j + Σ_{i∈T} W_ij)                                       (bits)

plus a_i for single units.  In spins s = 2v - 1 the coupling is the mean of Π s · (-F) over all states,
``J_S = 2^-N Σ_s Π_{i∈S} s_i (-F(s))`` (Decelle, Furtlehner, Navas Gómez and Seoane, arXiv:2309.02292).  Its sum of
2^N terms is one integral a hidden unit: softplus has the second derivative ``¼ sech²(y/2)``, whose Fourier transform is
πt/sinh πt, and each spin of y_j = θ_j + Σ_i w_ij s_i, w = W/2, θ_j = b_j + Σ_i w_ij, contributes a cosine, or i times a
sine if it is in S:

    J_S = -Σ_j (1/2π) ∫ dt  πt/(t² sinh πt)  e^{iθ_j t}  Π_{i∈S} i sin(w_ij t)  Π_{i∉S} cos(w_ij t)         (spins)

The trapezoidal rule is exact here to exponentially small terms, so that no central-limit argument is needed.
``p(v) ∝ exp(Σ_S J_S Π v_i)`` at beta = 1: couplings are in units of k_B T and positive where units attract.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn.functional import softplus

from rbmscape.arguments import checked
from rbmscape.arrays import number_array
from rbmscape.checks import is_whole
from rbmscape.errors import InputError, ShapeError
from rbmscape.model.rbm import RBM
from rbmscape.model.trained import one_model

__all__ = ["effective_couplings"]

FloatArray = NDArray[np.float64]
_MOST_TERMS: Final = 2**34  # of the sums, a minute or two on one core
_FASTEST: Final = 9.0  # beyond this t the integrand is below e^{-28}
_TAIL: Final = 7.5  # standard deviations of Hoeffding's bound at 1e-12
_DECAY: Final = 28.0
_NODES_AT_ONCE: Final = 2048
_TERMS_AT_ONCE: Final = 2**22


@checked
def effective_couplings(
    rbm: RBM, order: int = 2, states: str = "bits", units: ArrayLike | Sequence[Sequence[int]] | None = None
) -> FloatArray:
    """Couplings J_S of n visible units, exact to rounding for bits and to about 1e-12 a hidden unit for spins.

    Parameters
    ----------
    rbm : the model
    order : n, the number of units of one coupling; 1 are the fields
    states : "bits" for variables 0 and 1, "spins" for -1 and 1
    units : (K, n) distinct visible units of each coupling; None takes all single units or all pairs

    Returns
    -------
    (K,) of the given units, else (N,) fields or the symmetric (N, N) matrix of pairs with zeros on its diagonal;
    float64, in units of k_B T at beta = 1

    Raises
    ------
    InputError : more than two bodies without the units of interest, a cost beyond minutes, units that do not exist or
        repeat, an unknown kind of states
    ShapeError : units that are no (K, n) table
    """
    rbm = one_model(rbm, "effective_couplings")
    if states not in ("bits", "spins"):
        raise InputError(f"states must be 'bits' or 'spins', found {states!r}; choose one of these")
    if not is_whole(order) or not 1 <= order <= rbm.n_visible:
        raise InputError(
            f"order must be a whole number from 1 to the {rbm.n_visible} visible units, found {order!r}; 2 for pairs"
        )
    order = int(order)
    model = rbm.to(device="cpu", dtype=torch.float64)
    tuples = _table(units, order, rbm)
    if states == "spins":
        return _spin_couplings(model, order, tuples).numpy()
    if tuples is None:
        return (_pairs(model) if order == 2 else _chosen(model, torch.arange(model.n_visible)[:, None])).numpy()
    return _chosen(model, tuples).numpy()


def _table(units: ArrayLike | Sequence[Sequence[int]] | None, order: int, rbm: RBM) -> Tensor | None:
    """The checked (K, n) units."""
    if units is None:
        if order > 2:
            count = math.comb(rbm.n_visible, order)
            terms = count * 2**order * rbm.n_hidden
            raise InputError(
                f"all couplings of {order} among {rbm.n_visible} units are {count:.2g} numbers of {terms:.2g} terms in "
                "all; name the ones of interest with units=[(i, j, ...), ...]"
            )
        return None
    table = torch.from_numpy(number_array(units, "units").copy())
    if table.ndim != 2 or table.shape[1] != order or table.is_floating_point():
        raise ShapeError(
            f"units must be a table of whole numbers, {order} a row for order={order}, found shape {tuple(table.shape)}"
        )
    table = table.long()
    if table.numel() and not (int(table.min()) >= 0 and int(table.max()) < rbm.n_visible):
        raise InputError(
            f"units run from 0 to {rbm.n_visible - 1}, found {int(table.min())} to {int(table.max())}; correct them"
        )
    ordered = table.sort(1).values
    if bool((ordered[:, 1:] == ordered[:, :-1]).any()):
        raise InputError("a coupling joins different units, found one that names a unit twice; leave it out")
    terms = len(table) * 2**order * rbm.n_hidden
    if terms > _MOST_TERMS:
        raise InputError(
            f"{len(table)} couplings of {order} units are sums of {terms:.2g} terms, more than {_MOST_TERMS:.2g}; "
            "ask for fewer couplings or a lower order"
        )
    return table


def _chosen(rbm: RBM, units: Tensor) -> Tensor:
    """Möbius inversion for each row of units: (K,)."""
    count, order = units.shape
    found = rbm.weights.new_zeros(count)
    at_once = max(1, _TERMS_AT_ONCE // (2**order * rbm.n_hidden))
    for first in range(0, count, at_once):
        rows = units[first : first + at_once]
        signed = [(rbm.hidden_bias.expand(len(rows), -1), (-1.0) ** order)]
        for position in range(order):
            weights = rbm.weights[rows[:, position]]
            signed += [(fields + weights, -sign) for fields, sign in signed]
        terms = torch.stack([sign * softplus(fields) for fields, sign in signed])
        found[first : first + at_once] = terms.sum((0, 2))
    return found + rbm.visible_bias[units[:, 0]] if order == 1 else found


def _pairs(rbm: RBM) -> Tensor:
    r"""All pairs in bits without a softplus of each: with σ_i = σ(b + W_i) and σ_0 = σ(b),

    ``J_ik = Σ_j ln[(1-σ_i)(1-σ_k)/(1-σ_0) + σ_i σ_k/σ_0]``, in which nothing cancels or overflows.
    """
    fields = rbm.hidden_bias + rbm.weights
    off = torch.sigmoid(-fields) / torch.sigmoid(-rbm.hidden_bias).sqrt()
    on = torch.sigmoid(fields) / torch.sigmoid(rbm.hidden_bias).sqrt()
    count = rbm.n_visible
    found = rbm.weights.new_zeros(count, count)
    for i in range(count - 1):
        ratio = (off[i + 1 :] * off[i]).addcmul_(on[i + 1 :], on[i])
        found[i, i + 1 :] = ratio.log_().sum(1)
    found = found + found.T
    lost = (~torch.isfinite(found)).triu(1).nonzero()  # weights of hundreds, whose sigmoids are 0 in floating point
    if len(lost):
        found[lost[:, 0], lost[:, 1]] = found[lost[:, 1], lost[:, 0]] = _chosen(rbm, lost)
    return found


def _spin_couplings(rbm: RBM, order: int, units: Tensor | None) -> Tensor:
    """Sum over the nodes of the Fourier integral, hidden unit by hidden unit in blocks."""
    half = rbm.weights / 2
    shift = rbm.hidden_bias + half.sum(0)
    shape = (rbm.n_visible,) * min(order, 2) if units is None else (len(units),)
    found = half.new_zeros(shape)
    hidden, times, weight = _nodes(half, shift, order)
    for first in range(0, len(hidden), _NODES_AT_ONCE):
        block = slice(first, first + _NODES_AT_ONCE)
        phases = half[:, hidden[block]] * times[block]
        cosines = phases.cos()
        # cos is never exactly zero in floating point, and the tangent is made with the same cosine.
        tangents = phases.sin() / cosines
        factor = weight[block] * cosines.prod(0)
        if units is not None:
            product = tangents[units[:, 0]]
            for position in range(1, order):
                product = product * tangents[units[:, position]]
            found += product @ factor
        elif order == 1:
            found += tangents @ factor
        else:
            found += (tangents * factor) @ tangents.T
    if units is None and order == 2:
        found = ((found + found.T) / 2).fill_diagonal_(0.0)
    if order == 1:
        single = torch.arange(rbm.n_visible) if units is None else units[:, 0]
        found = found + (rbm.visible_bias / 2 + half.sum(1) / 2)[single]
    return found


def _nodes(half: Tensor, shift: Tensor, order: int) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden unit, time t > 0 and weight of every node.

    A step h makes the function of y periodic with 2π/h: that has to hold the values that y takes (but for 1e-12, by
    Hoeffding's inequality), the width of the |S|-fold difference of softplus, and its exponential tail.
    """
    spread = _TAIL * half.square().sum(0).sqrt().clamp_min(1e-12)
    reach = torch.minimum(spread, half.abs().sum(0))
    period = 2 * (shift.abs() + reach + order * half.abs().amax(0) + _DECAY)
    steps = 2 * math.pi / period
    counts = torch.ceil(_FASTEST / steps).long()
    hidden = torch.repeat_interleave(torch.arange(len(shift)), counts)
    number = torch.cat([torch.arange(int(count), dtype=half.dtype) for count in counts])
    times = (number + 0.5) * steps[hidden]
    kernel = math.pi / (times * torch.sinh(math.pi * times))
    # i^n e^{iθt} leaves its real part, since nodes come in pairs ±t.
    angle = shift[hidden] * times + order * math.pi / 2
    return hidden, times, -steps[hidden] / math.pi * kernel * angle.cos()
