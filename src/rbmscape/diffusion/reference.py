r"""Points around which the constraint potential is expanded (arXiv:2503.21536, section 4, before eq. 39).

``uniform``: all activities 1/2, the high-temperature limit (28) that the paper uses; ``data``: mean activities of a
data set; ``mean_field``: a solution of the saddle-point equations (26).  A point is a pair m (N,), n (M,) inside the
cube.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rbmscape.arrays import training_rows
from rbmscape.brief import OneLine
from rbmscape.checks import check_choice, check_positive
from rbmscape.diffusion.mean_field import MeanField, MeanFieldSolution, mean_field
from rbmscape.errors import DataError, InputError, NotConvergedError
from rbmscape.model.arrays import Arrays, as_layer
from rbmscape.model.rbm import RBM
from rbmscape.model.trained import one_model

__all__ = ["REFERENCES", "Reference", "ReferenceKind", "reference_point"]

ReferenceKind = Literal["uniform", "data", "mean_field"]
REFERENCES: tuple[ReferenceKind, ...] = ("uniform", "data", "mean_field")
_MARGIN = 1e-12


@dataclass(frozen=True, eq=False, repr=False)
class Reference(OneLine):
    """A point strictly inside the cube of activities.

    Attributes
    ----------
    m, n : (N,), (M,) float64
    kind : "uniform", "data", "mean_field" or "given"
    """

    m: Tensor
    n: Tensor
    kind: str

    def _headline(self) -> str:
        return f"{self.kind}, {self.m.numel()} visible and {self.n.numel()} hidden activities"

    @property
    def visible_variance(self) -> Tensor:
        """m(1 - m): (N,)."""
        return self.m * (1 - self.m)

    @property
    def hidden_variance(self) -> Tensor:
        """n(1 - n): (M,)."""
        return self.n * (1 - self.n)


def reference_point(
    rbm: RBM,
    reference: ReferenceKind | Reference | MeanField | MeanFieldSolution | tuple[Arrays, Arrays] = "uniform",
    data: Arrays | None = None,
    beta: float = 1.0,
) -> Reference:
    """Activities around which potentials are expanded.

    Parameters
    ----------
    rbm : the model
    reference : a name; or a point that is known already, as a pair (m, n) or a mean-field solution
    data : (K, N) visible states, needed for ``data``, starts of the iteration for ``mean_field``; the mean of the
        visible layer is smoothed to (Σv + 1/2)/(K + 1), that of the hidden layer is the mean of σ(β(Wᵀv + b))
    beta : inverse temperature, > 0

    Raises
    ------
    InputError : unknown name, or a given point that is not inside the cube
    DataError : ``data`` without data
    NotConvergedError : the mean field did not converge
    ShapeError : data or a given point do not fit the model
    """
    rbm = one_model(rbm, "a reference point")
    beta = check_positive("beta", beta)
    if isinstance(reference, Reference):
        return _given(rbm, reference.m, reference.n, reference.kind)
    if isinstance(reference, MeanField | MeanFieldSolution):
        return _solution(rbm, reference)
    if isinstance(reference, tuple):
        return _given(rbm, *reference, "given")
    check_choice("reference", reference, REFERENCES)
    if reference == "uniform":
        half = rbm.weights.new_full((rbm.n_visible + rbm.n_hidden,), 0.5, dtype=torch.float64)
        return Reference(half[: rbm.n_visible], half[rbm.n_visible :], "uniform")
    if reference == "mean_field":
        return _solution(rbm, mean_field(rbm, beta, data=data))
    return _data_means(rbm, data, beta)


def _data_means(rbm: RBM, data: Arrays | None, beta: float) -> Reference:
    if data is None:
        raise DataError("reference='data' needs the data to take means of, got none; pass data=dataset.train")
    states = rbm.as_visible(training_rows(data, "data", rbm.columns)).reshape(-1, rbm.n_visible)
    if states.shape[0] == 0:
        raise DataError("reference='data' needs at least one state, got an empty array; pass data=dataset.train")
    m = (states.sum(0, dtype=torch.float64) + 0.5) / (states.shape[0] + 1)
    n = rbm.hidden_probability(states, beta).mean(0, dtype=torch.float64)
    return _clamped(m, n, "data")


def _solution(rbm: RBM, solution: MeanField | MeanFieldSolution) -> Reference:
    if not solution.converged:
        raise NotConvergedError(
            "the mean-field reference did not converge; call mean_field with more max_iterations and pass its result"
        )
    point = _given(rbm, solution.m, solution.n, "mean_field", closed=True)
    return _clamped(point.m, point.n, "mean_field")


def _clamped(m: Tensor, n: Tensor, kind: str) -> Reference:
    return Reference(m.clamp(_MARGIN, 1 - _MARGIN), n.clamp(_MARGIN, 1 - _MARGIN), kind)


def _given(rbm: RBM, m: Arrays, n: Arrays, kind: str, *, closed: bool = False) -> Reference:
    visible = as_layer(m, rbm.n_visible, "visible", torch.float64, rbm.device)
    hidden = as_layer(n, rbm.n_hidden, "hidden", torch.float64, rbm.device)
    for name, layer in (("m", visible), ("n", hidden)):
        inside = ((layer >= 0) & (layer <= 1)) if closed else ((layer > 0) & (layer < 1))
        if not bool(inside.all()):
            raise InputError(
                f"a reference point must be strictly inside the cube, {int((~inside).sum())} entries of {name} are "
                f"not; clip or smooth them"
            )
    return Reference(visible, hidden, kind)
