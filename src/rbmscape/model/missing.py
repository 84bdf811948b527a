r"""Rows of which some entries are unknown, and the model of what is unknown given the rest.

With the known visible units K held at v_K, the unknown ones U and the hidden layer are again an RBM, with weights W_U,
biases a_U and hidden biases ``b + W_Kᵀ v_K``.  Its partition function is a marginal of the model,

``ln p(v_K) = a_K·v_K + ln Z(W_U, a_U, b + W_Kᵀ v_K) - ln Z``,

and its distribution is p(v_U, h | v_K).  So whatever answers a question about a model answers it about a conditional.
Shapes: states and marks are (..., N).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.arrays import dense, in_order, number_array
from rbmscape.brief import OneLine
from rbmscape.errors import DataError, ShapeError
from rbmscape.model.arrays import Arrays
from rbmscape.model.rbm import RBM

__all__ = ["PartialRows", "conditional_model", "partial_rows"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PartialRows(OneLine):
    """States with unknown entries, one a row.

    Attributes
    ----------
    states : (n, N) uint8, 0 where unknown
    missing : (n, N) bool
    shape : the batch axes that were given
    """

    states: Tensor
    missing: Tensor
    shape: tuple[int, ...]

    def _headline(self) -> str:
        n_rows, n_visible = self.states.shape
        return f"{n_rows} rows of {n_visible} units, {int(self.missing.sum())} entries missing"

    @property
    def incomplete(self) -> Tensor:
        """(n,) bool: whether anything is missing in a row."""
        return self.missing.any(1)


def partial_rows(rbm: RBM, known: Arrays, missing: Arrays | None = None, where: str = "known") -> PartialRows:
    """Checked states on the model's device.

    Parameters
    ----------
    known : (..., N) entries 0, 1, or NaN where unknown; masked arrays count their masked entries as unknown
    missing : (..., N) or (N,) bool, true where an entry is unknown whatever `known` holds there
    where : how messages call the array

    Raises
    ------
    DataError : an entry is neither 0, 1 nor unknown
    ShapeError : the last axis is not n_visible, or the marks do not fit
    """
    values, marks = _plain(in_order(known, rbm.columns, where), where)
    if values.ndim == 0 or values.shape[-1] != rbm.n_visible:
        raise ShapeError(
            f"{where} needs {rbm.n_visible} values on its last axis (one a visible unit), found shape {values.shape}; "
            "mark what is not known as NaN"
        )
    if missing is not None:
        given = np.asarray(dense(in_order(missing, rbm.columns, "missing"), "missing"))
        if given.dtype.kind != "b" or given.ndim > values.ndim or given.shape[-1:] != values.shape[-1:]:
            raise ShapeError(
                f"missing must hold true and false in the shape {values.shape} or ({rbm.n_visible},), found "
                f"{given.dtype} of shape {given.shape}; pass for example numpy.isnan(array)"
            )
        marks = marks | given
    shape = values.shape[:-1]
    marks = np.broadcast_to(marks, values.shape).reshape(-1, rbm.n_visible)
    flat = values.reshape(-1, rbm.n_visible)
    wrong = ~marks & (flat != 0) & (flat != 1)
    if wrong.any():
        row, column = (int(i) for i in np.argwhere(wrong)[0])
        raise DataError(
            f"{where}: the value {flat[row, column]} at row {row}, column {column} (counted from 0) is neither 0 nor "
            "1; mark what is not known as NaN"
        )
    states = torch.from_numpy(np.where(marks, 0, flat).astype(np.uint8))
    return PartialRows(states.to(rbm.device), torch.from_numpy(marks.copy()).to(rbm.device), shape)


def _plain(known: Arrays, where: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Numbers, and which of them are unknown."""
    masked = np.ma.getmaskarray(known) if isinstance(known, np.ma.MaskedArray) else None
    values = number_array(known.data if isinstance(known, np.ma.MaskedArray) else known, where)
    marks = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, dtype=np.bool_)
    return values, marks if masked is None else marks | masked


def conditional_model(rbm: RBM, states: Tensor, missing: Tensor) -> tuple[RBM, float]:
    """The model of the unknown units of one row, in float64, and a_K·v_K of the known ones.

    Parameters
    ----------
    states : (N,) 0 or 1; what they hold where something is missing does not matter
    missing : (N,) bool, at least one of them true
    """
    double = rbm.to(dtype=torch.float64)
    known = states.to(torch.float64) * ~missing
    hidden_bias = double.hidden_bias + known @ double.weights
    model = RBM(double.weights[missing], double.visible_bias[missing], hidden_bias)
    return model, float(known @ double.visible_bias)
