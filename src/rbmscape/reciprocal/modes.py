r"""Modes of a model: the energy as a sum of independent saddles (arXiv:2503.21536, section 3, equations 14 to 19).

``W = U Σ Vᵀ``, ``x = Uᵀv``, ``y = Vᵀh``, ``a0 = Uᵀa``, ``b0 = Vᵀb`` turn the energy into ``Σ_i E_i(x_i, y_i)`` with
``E_i = -a0_i x_i - b0_i y_i - λ_i x_i y_i`` for the L = min(N, M) paired modes, plus ``-a0_i x_i`` (N > M) or
``-b0_i y_i`` (M > N) for the |N - M| unpaired ones.  Shapes: batch axes lead, modes are columns of U (N, N), V (M, M).

Any basis of the unpaired subspace will do.  In the one that begins with the bias's part in it, a single unpaired mode
carries all of the energy there; models with a layer of thousands of units get that mode alone, (N, L + 1) for (N, N).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.arguments import checked
from rbmscape.arrays import in_order, real_array
from rbmscape.brief import OneLine
from rbmscape.cards import card, curve, image_shape_of, images
from rbmscape.checks import check_choice
from rbmscape.errors import InputError, ShapeError
from rbmscape.model.arrays import Arrays, as_layer
from rbmscape.model.rbm import RBM
from rbmscape.model.trained import one_model
from rbmscape.reciprocal.alignment import Alignment, match_vectors, mode_crossings, transport_basis
from rbmscape.reciprocal.coordinates import Coordinates
from rbmscape.reciprocal.factorize import flat_modes, full_svd, thin_svd
from rbmscape.reciprocal.rotation import rotate, rotate_back

__all__ = ["MOST_COMPLETE", "Modes", "modes_of"]

MOST_COMPLETE = 4096
"""Units of a layer up to which its basis is completed by default: 134 MB, and half a minute at worst."""


@dataclass(frozen=True, eq=False, repr=False)
class Modes(OneLine):
    """Singular modes of an RBM, float64 on the RBM's device; made by :meth:`Modes.of`.

    Attributes
    ----------
    left : (N, N) orthogonal U, mode i in column i; columns from L on, without a singular value, are an arbitrary basis
        of their subspace, or the one vector of it along the bias (the same holds for ``right``)
    right : (M, M) orthogonal V
    singular_values : (L,) λ >= 0, falling (unless reordered by :meth:`aligned_to`); energy unit k_B T at beta = 1
    visible_bias : (N,) ``a0 = Uᵀa``
    hidden_bias : (M,) ``b0 = Vᵀb``
    alignment : how the modes were matched to another model; None as long as they stand in the order of their
        singular values and in the canonical gauge ``Σ_k U_ki >= 0``
    columns : names of the visible units of the model, or None
    """

    left: Tensor
    right: Tensor
    singular_values: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor
    alignment: Alignment | None = None
    columns: tuple[str, ...] | None = None

    def _headline(self) -> str:
        largest = ", ".join(f"{float(value):.4g}" for value in self.singular_values[:3])
        return f"{self.n_visible} visible, {self.n_hidden} hidden, {self.n_paired} singular values {largest}, …"

    def _repr_html_(self) -> str:
        """For notebooks: the singular values, and the first left vectors where rows are square images."""
        values = self.singular_values.cpu().numpy()
        vectors = images(
            self.left[:, : min(8, self.n_paired)].T.cpu(),
            image_shape_of(self.n_visible),
            "left vectors of the first modes",
        )
        return card("Modes", {"": self._headline()}, curve(range(len(values)), values, "singular values"), vectors)

    @classmethod
    @checked
    def of(cls, rbm: RBM, unpaired: str = "auto") -> Modes:
        """Singular value decomposition of a model's weights in the canonical gauge; exact to rounding.

        Parameters
        ----------
        unpaired : "all" completes the bases of both layers, which takes memory of the order of the longer layer
            squared; "bias" adds the one unpaired mode that has energy; "auto" takes all up to 4096 units

        Raises
        ------
        InputError : another word, or no model
        """
        rbm = one_model(rbm, "Modes.of")
        check_choice("unpaired", unpaired, ("auto", "all", "bias"))
        weights, biases = rbm.weights.to(torch.float64), (rbm.visible_bias, rbm.hidden_bias)
        if unpaired == "all" or (unpaired == "auto" and max(weights.shape) <= MOST_COMPLETE):
            left, singular_values, right = full_svd(weights)
        else:
            left, singular_values, right = thin_svd(weights, *(bias.to(torch.float64) for bias in biases))
        return cls(
            left=left,
            right=right,
            singular_values=singular_values,
            visible_bias=left.mT @ rbm.visible_bias.to(torch.float64),
            hidden_bias=right.mT @ rbm.hidden_bias.to(torch.float64),
            columns=rbm.columns,
        )

    @property
    def n_visible(self) -> int:
        """Number N of visible units."""
        return int(self.left.shape[0])

    @property
    def n_hidden(self) -> int:
        """Number M of hidden units."""
        return int(self.right.shape[0])

    @property
    def n_paired(self) -> int:
        """Number L = min(N, M) of modes with a singular value."""
        return int(self.singular_values.shape[0])

    @property
    def n_modes(self) -> int:
        """Number of terms of the energy: max(N, M), or L + 1 where one unpaired mode stands for all."""
        return max(int(self.left.shape[1]), int(self.right.shape[1]))

    @property
    def is_complete(self) -> bool:
        """Whether both bases are complete, so that states can be had back from coordinates."""
        return self.n_modes == max(self.n_visible, self.n_hidden)

    @checked
    def check_complete(self, purpose: str) -> None:
        """Refuse what needs all unpaired modes where there is one for all.

        Raises
        ------
        InputError : the bases are not complete
        """
        if not self.is_complete:
            size = 8e-9 * (self.n_visible**2 + self.n_hidden**2)
            raise InputError(
                f"{purpose} needs the complete bases of {self.n_visible} visible and {self.n_hidden} hidden units, "
                f"{size:.1f} GB, and more to work with; where there is room pass modes=Modes.of(rbm, unpaired='all')"
            )

    @property
    def device(self) -> torch.device:
        """Device of all tensors."""
        return self.left.device

    @cached_property
    def flat(self) -> Tensor:
        """(L,) bool: ``λ_i <= max(N, M)·eps·λ_1``; such a mode has no saddle, its x0, y0, u and w are NaN."""
        return flat_modes(self.singular_values, max(self.n_visible, self.n_hidden))

    @cached_property
    def ranks(self) -> NDArray[np.int64]:
        """(L,) rank of each mode by falling singular value; 0, 1, ..., L-1 unless the modes were reordered."""
        by_size = np.argsort(-self.singular_values.cpu().numpy(), kind="stable")
        ranks = np.empty_like(by_size)
        ranks[by_size] = np.arange(by_size.size)
        return ranks

    @cached_property
    def saddle_x(self) -> Tensor:
        """(L,) ``x0_i = -b0_i/λ_i``; NaN for flat modes."""
        return self._over_singular_values(-self.hidden_bias[: self.n_paired])

    @cached_property
    def saddle_y(self) -> Tensor:
        """(L,) ``y0_i = -a0_i/λ_i``; NaN for flat modes."""
        return self._over_singular_values(-self.visible_bias[: self.n_paired])

    @cached_property
    def saddle_energy(self) -> Tensor:
        """(L,) ``E_i(x0_i, y0_i) = a0_i b0_i/λ_i``; NaN for flat modes."""
        return self._over_singular_values(self.visible_bias[: self.n_paired] * self.hidden_bias[: self.n_paired])

    def _over_singular_values(self, values: Tensor) -> Tensor:
        safe = torch.where(self.flat, torch.ones_like(self.singular_values), self.singular_values)
        return torch.where(self.flat, torch.full_like(values, math.nan), values / safe)

    def project(self, v: Arrays, h: Arrays | None = None) -> Coordinates:
        """Coordinates of states: ``x = Uᵀv``, ``y = Vᵀh`` (equation 17) and u, w about the saddles (equation 18).

        Parameters
        ----------
        v : (..., N) visible states or means
        h : (..., M) hidden states or means; None takes the conditional means ``σ(Wᵀv + b)`` of equation 11 (beta = 1)

        Raises
        ------
        ShapeError : a last axis is not n_visible or n_hidden, or the batch axes of v and h differ
        """
        v = in_order(v, self.columns, "visible states")
        x = as_layer(v, self.n_visible, "visible", torch.float64, self.device) @ self.left
        hidden = self.hidden_means(x) if h is None else as_layer(h, self.n_hidden, "hidden", torch.float64, self.device)
        if hidden.shape[:-1] != x.shape[:-1]:
            raise ShapeError(
                f"visible and hidden states must have the same batch axes, found {tuple(x.shape[:-1])} "
                f"and {tuple(hidden.shape[:-1])}"
            )
        return self.from_xy(x, hidden @ self.right)

    def hidden_means(self, x: Arrays) -> Tensor:
        """(..., M) conditional means ``σ(V(Σᵀx + b0)) = σ(Wᵀv + b)`` of the hidden units given ``x = Uᵀv``."""
        x = as_layer(x, self.left.shape[1], "reciprocal visible", torch.float64, self.device)
        paired = self.n_paired
        fields = (x[..., :paired] * self.singular_values) @ self.right[:, :paired].mT
        return torch.sigmoid(fields + self.right @ self.hidden_bias)

    def from_xy(self, x: Arrays, y: Arrays) -> Coordinates:
        """Coordinates with the given (..., N) x and (..., M) y, whose batch axes are the same."""
        x = as_layer(x, self.left.shape[1], "reciprocal visible", torch.float64, self.device)
        y = as_layer(y, self.right.shape[1], "reciprocal hidden", torch.float64, self.device)
        if x.shape[:-1] != y.shape[:-1]:
            raise ShapeError(f"x and y need the same batch axes, found shapes {tuple(x.shape)} and {tuple(y.shape)}")
        along_x = x[..., : self.n_paired] - self.saddle_x
        along_y = y[..., : self.n_paired] - self.saddle_y
        u, w = rotate(along_x, along_y)
        return Coordinates(x=x, y=y, u=u, w=w)

    def from_z(self, z: Arrays) -> Coordinates:
        """Coordinates of points z = [u, w, unpaired], (..., N + M); NaN for flat modes, which have no u and w.

        Raises
        ------
        InputError : the bases are not complete
        """
        self.check_complete("a point of the reciprocal space")
        point = as_layer(z, self.n_visible + self.n_hidden, "reciprocal", torch.float64, self.device)
        u, w, unpaired = torch.split(point, [self.n_paired, self.n_paired, self.n_modes - self.n_paired], dim=-1)
        along_x, along_y = rotate_back(u, w)
        x, y = self.saddle_x + along_x, self.saddle_y + along_y
        if self.n_visible > self.n_hidden:
            x = torch.cat([x, unpaired], dim=-1)
        else:
            y = torch.cat([y, unpaired], dim=-1)
        return Coordinates(x=x, y=y, u=u, w=w)

    @checked
    def restore(self, coordinates: Coordinates) -> tuple[Tensor, Tensor]:
        """(v, h) = (U x, V y): the inverse of :meth:`project`, exact to rounding, float64, (..., N) and (..., M).

        Raises
        ------
        InputError : the bases are not complete
        """
        self.check_complete("to restore states")
        return coordinates.x @ self.left.mT, coordinates.y @ self.right.mT

    @checked
    def mode_energy(self, i: int, x: Arrays, y: Arrays) -> Tensor:
        """E_i at values x of x_i and y of y_i (equation 16), in k_B T at beta = 1; x and y broadcast.

        Unpaired modes (i >= L) use only the one of x and y that they have.

        Raises
        ------
        InputError : i is not in [0, max(N, M))
        """
        if not 0 <= i < self.n_modes:
            raise InputError(f"mode index must be from 0 to {self.n_modes - 1}, found {i}")
        along_x, along_y = (torch.from_numpy(real_array(c, name)).to(self.device) for c, name in ((x, "x"), (y, "y")))
        if i >= self.n_paired:
            if self.n_visible > self.n_hidden:
                return -self.visible_bias[i] * along_x
            return -self.hidden_bias[i] * along_y
        return (
            -self.visible_bias[i] * along_x
            - self.hidden_bias[i] * along_y
            - self.singular_values[i] * along_x * along_y
        )

    @checked
    def mode_energies(self, coordinates: Coordinates) -> Tensor:
        """(..., max(N, M)) terms of the energy (equation 16); their sum is E(v, h)."""
        paired, x, y = self.n_paired, coordinates.x, coordinates.y
        coupled = (
            -self.visible_bias[:paired] * x[..., :paired]
            - self.hidden_bias[:paired] * y[..., :paired]
            - self.singular_values * x[..., :paired] * y[..., :paired]
        )
        if self.n_visible > self.n_hidden:
            rest = -self.visible_bias[paired:] * x[..., paired:]
        else:
            rest = -self.hidden_bias[paired:] * y[..., paired:]
        return torch.cat([coupled, rest], dim=-1)

    def random_state_mean(self) -> Coordinates:
        """Mean of uniformly random binary states, ``μ_x = ½ Uᵀ1``, ``μ_y = ½ Vᵀ1`` (equation 51), exact; no batch."""
        return self.from_xy(0.5 * self.left.sum(dim=0), 0.5 * self.right.sum(dim=0))

    @checked
    def aligned_to(self, other: Modes, leading: int | None = None) -> Modes:
        """The same modes in the order and with the signs that continue ``other``'s.

        Pairs are matched by the assignment that maximises the summed overlap of left and right vectors; unpaired
        vectors, which are arbitrary inside their subspace, are rotated towards ``other``'s.

        Parameters
        ----------
        other : modes of a model of the same size, usually the checkpoint before
        leading : match only this many modes of largest singular value and keep the index order of the rest (cheaper for
            large models); None matches all and transports the unpaired vectors, too

        Returns
        -------
        Modes, whose ``alignment`` reports order, overlaps and crossings

        Raises
        ------
        ShapeError : the two models have different sizes
        """
        if (self.n_visible, self.n_hidden) != (other.n_visible, other.n_hidden):
            raise ShapeError(
                f"modes can be aligned to those of a model of the same size, found {self.n_visible} x {self.n_hidden} "
                f"and {other.n_visible} x {other.n_hidden}"
            )
        paired = self.n_paired
        order, signs, overlap = match_vectors(
            (other.left[:, :paired], other.right[:, :paired]),
            (self.left[:, :paired], self.right[:, :paired]),
            paired if leading is None else leading,
        )
        crossings = mode_crossings(other.ranks, self.ranks[order], overlap)
        index = torch.as_tensor(order, device=self.device)
        left, right = self.left.clone(), self.right.clone()
        left[:, :paired] = self.left[:, index] * signs
        right[:, :paired] = self.right[:, index] * signs
        if leading is None:
            left[:, paired:] = transport_basis(other.left[:, paired:], self.left[:, paired:])
            right[:, paired:] = transport_basis(other.right[:, paired:], self.right[:, paired:])
        return replace(
            self,
            left=left,
            right=right,
            singular_values=self.singular_values[index],
            visible_bias=left.mT @ (self.left @ self.visible_bias),
            hidden_bias=right.mT @ (self.right @ self.hidden_bias),
            alignment=Alignment(order=self.ranks[order], overlap=overlap, crossings=crossings),
        )


def modes_of(rbm: RBM, given: Modes | None) -> Modes:
    """The given modes, or those of the model where none are.

    Raises
    ------
    ShapeError : they are those of a model with other layers
    """
    if given is None:
        return Modes.of(rbm)
    if (given.n_visible, given.n_hidden) != (rbm.n_visible, rbm.n_hidden):
        raise ShapeError(
            f"modes are of {given.n_visible} x {given.n_hidden} units and the model has {rbm.n_visible} x "
            f"{rbm.n_hidden}; pass rbmscape.Modes.of(rbm)"
        )
    return given
