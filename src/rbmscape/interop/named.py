"""Models as named arrays: state dicts of PyTorch, .npz files, safetensors, attributes of objects.

What an array means is told by the names that go together (``W`` with ``a`` and ``b``, ``weight_matrix`` with ``vbias``
and ``hbias``); which axis of the weights is the visible one follows from the lengths of the biases.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rbmscape.arrays import number_array
from rbmscape.errors import FormatError, ShapeError
from rbmscape.interop.affine import Units, folded
from rbmscape.model.rbm import PARAMETER_NAMES, RBM

__all__ = ["NAMES", "model_of_arrays"]

NAMES: Final = (
    PARAMETER_NAMES,
    ("weight_matrix", "vbias", "hbias"),
    ("components_", "intercept_visible_", "intercept_hidden_"),
    ("W", "a", "b"),
    ("w", "a", "b"),
    ("W", "b", "c"),
    ("W", "vbias", "hbias"),
    ("W", "v_bias", "h_bias"),
    ("W", "bv", "bh"),
    ("W", "visible_bias", "hidden_bias"),
    ("weight", "visible_bias", "hidden_bias"),
    ("weights", "vbias", "hbias"),
    ("weights", "v_bias", "h_bias"),
)
"""Names of weights, visible and hidden biases that are used together, best first."""

_HIDDEN_FIRST: Final = frozenset({"components_"})
"""Weights that always have one row a hidden unit."""

_NOT_BINARY: Final = ("sigma", "log_sigma", "log_var", "logvar", "variance", "std", "gamma", "z")
"""Arrays beside the parameters that only units with real values have."""


def model_of_arrays(
    arrays: Mapping[str, Any], where: str, *, transpose: bool | None = None, states: str = "bits"
) -> RBM:
    """The model whose parameters are among named arrays.

    Parameters
    ----------
    arrays : arrays by name; a common prefix (``rbm.W``) is ignored
    where : what to call them in messages
    transpose : whether the weights have one row a hidden unit; by default told from the biases' lengths
    states : "bits", or "spins" where the parameters are those of units -1 and 1

    Raises
    ------
    FormatError : no known names, units that are not binary, or a square matrix whose axes cannot be told
    ShapeError : the three shapes do not fit
    """
    last = {name.rsplit(".", 1)[-1]: name for name in arrays}
    known = next((names for names in NAMES if all(name in last for name in names)), None)
    if known is None:
        raise FormatError(
            f"{where} holds {_listed(arrays)}, in which no weights with two biases are recognised; "
            f"rename them to {', '.join(NAMES[0])}"
        )
    if real := next((name for name in _NOT_BINARY if name in last), None):
        raise FormatError(
            f"{where} holds {real!r}, which only units with real values have; this package models bits only"
        )
    weights, visible_bias, hidden_bias = (_array(arrays[last[name]], f"{where}: {last[name]}") for name in known)
    if known[0] in _HIDDEN_FIRST and transpose is None:
        transpose = True
    upright = _upright(weights, visible_bias, hidden_bias, where, transpose)
    spins = Units("spins") if states == "spins" else Units(states) if states != "bits" else None
    return folded(upright, visible_bias, hidden_bias, spins, spins)


def _array(values: Any, name: str) -> NDArray[Any]:
    """An array with its axes of length 1 at the ends of a bias dropped."""
    array = number_array(values, name)
    return array.reshape(-1) if array.ndim == 2 and 1 in array.shape else array


def _upright(
    weights: NDArray[Any], visible_bias: NDArray[Any], hidden_bias: NDArray[Any], where: str, transpose: bool | None
) -> NDArray[Any]:
    """Weights with one row a visible unit."""
    wanted = len(np.atleast_1d(visible_bias)), len(np.atleast_1d(hidden_bias))
    weights = weights.reshape(wanted) if weights.size == wanted[0] * wanted[1] and 1 in wanted else weights
    fits = {False: weights.shape == wanted, True: weights.T.shape == wanted}
    if transpose is None and fits[False] and fits[True] and 1 not in wanted:
        raise FormatError(
            f"{where} has as many visible as hidden units ({wanted[0]}), so that its axes cannot be told apart; pass "
            "transpose=True where the weights have one row a hidden unit, else transpose=False"
        )
    chosen = (not fits[False]) if transpose is None else transpose
    if not fits[chosen]:
        raise ShapeError(
            f"{where} has weights of shape {weights.shape} with {wanted[0]} visible and {wanted[1]} hidden biases, "
            "which do not fit; check which array is which"
        )
    return weights.T if chosen else weights


def _listed(arrays: Mapping[str, Any]) -> str:
    names = [repr(str(name)) for name in list(arrays)[:8]]
    return ", ".join(names) + (", ..." if len(arrays) > 8 else "") if names else "no arrays"
