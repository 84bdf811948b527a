r"""The effective potential of the reciprocal variables (arXiv:2503.21536, eqs. 21-31), in closed form.

    U_eff(z) = E(z) + (V_const(z) - (N + M) ln 2) / β,      V_const = Σ_k s(m_k) + Σ_l s(n_l),  m = Ux, n = Vy,

at the saddle-point level: the naive mean-field free energy in rotated coordinates.  It confines: V_const is +∞ outside
the cube 0 <= m, n <= 1.  z = [u, w, unpaired] is an isometry of (m, n) up to a translation, so that gradients and
Hessians rotate with it.  Shapes: z (..., N + M), m (..., N), n (..., M); energies in units of k_B T at beta = 1.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from rbmscape.arguments import checked
from rbmscape.brief import OneLine
from rbmscape.checks import check_positive
from rbmscape.diffusion.constraint import ConstraintDerivatives
from rbmscape.errors import InputError
from rbmscape.model.arrays import Arrays, as_layer
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.modes import Modes, modes_of
from rbmscape.reciprocal.rotation import rotate, rotate_back

__all__ = ["EffectivePotential"]


class EffectivePotential(OneLine):
    """U_eff of a model, its parts and its derivatives, in z and in bit coordinates.

    Parameters
    ----------
    rbm : the model
    beta : inverse temperature, > 0
    modes : modes to use instead of ``Modes.of(rbm)``, for example aligned to another checkpoint's
    dtype : of the arithmetic; float32 is for simulations

    Raises
    ------
    InputError : beta is not above 0, dtype is neither float32 nor float64
    """

    @checked
    def __init__(
        self, rbm: RBM, beta: float = 1.0, *, modes: Modes | None = None, dtype: torch.dtype = torch.float64
    ) -> None:
        self.beta = check_positive("beta", beta)
        self._rbm = rbm.to(dtype=dtype)
        self._given_modes = modes
        self._dtype = dtype
        self._slack = 1e-9 if dtype == torch.float64 else 1e-4

    def _headline(self) -> str:
        precision = str(self._dtype).removeprefix("torch.")
        return f"{self.n_visible} visible, {self.n_hidden} hidden, beta {self.beta:g}, {precision}"

    @property
    def n_visible(self) -> int:
        """N."""
        return self._rbm.n_visible

    @property
    def n_hidden(self) -> int:
        """M."""
        return self._rbm.n_hidden

    @cached_property
    def modes(self) -> Modes:
        """Singular modes behind the z coordinates.

        Raises
        ------
        InputError : their bases are not complete
        """
        modes = modes_of(self._rbm, self._given_modes)
        modes.check_complete("the potential in z")
        return modes

    @cached_property
    def _rotations(self) -> tuple[Tensor, Tensor]:
        return self.modes.left.to(self._dtype).contiguous(), self.modes.right.to(self._dtype).contiguous()

    @cached_property
    def _saddle(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """x0, y0, λ, the unpaired biases, and Σ a0 b0 / λ, in the dtype of the arithmetic."""
        modes = self.modes
        n_flat = int(modes.flat.sum())
        if n_flat:
            raise InputError(
                f"{n_flat} mode(s) have singular value 0 and no saddle, so that z is undefined; "
                f"use bit coordinates (value_of_bits, gradient_of_bits) for this model"
            )
        longer = modes.visible_bias if self.n_visible > self.n_hidden else modes.hidden_bias
        parts = (modes.saddle_x, modes.saddle_y, modes.singular_values, longer[modes.n_paired :])
        x0, y0, singular_values, rest = (part.to(self._dtype) for part in parts)
        return x0, y0, singular_values, rest, modes.saddle_energy.sum()

    def _as_z(self, z: Arrays) -> Tensor:
        return as_layer(z, self.n_visible + self.n_hidden, "reciprocal", self._dtype, self._rbm.device)

    def _as_bits(self, m: Arrays, n: Arrays) -> tuple[Tensor, Tensor]:
        rbm = self._rbm
        widths = ("visible", self.n_visible), ("hidden", self.n_hidden)
        visible, hidden = (
            as_layer(layer, width, name, rbm.dtype, rbm.device)
            for layer, (name, width) in zip((m, n), widths, strict=True)
        )
        return visible, hidden

    def bits(self, z: Arrays) -> tuple[Tensor, Tensor]:
        """Activities m = Ux (..., N), n = Vy (..., M) at points z; two matrix products.

        Raises
        ------
        ShapeError : the last axis of z is not N + M
        InputError : the model has flat modes
        """
        point = self._as_z(z)
        x0, y0, singular_values, _, _ = self._saddle
        paired = singular_values.shape[0]
        u, w = point[..., :paired], point[..., paired : 2 * paired]
        x = point.new_empty(*point.shape[:-1], self.n_visible)
        y = point.new_empty(*point.shape[:-1], self.n_hidden)
        along_x, along_y = rotate_back(u, w)
        torch.add(along_x, x0, out=x[..., :paired])
        torch.add(along_y, y0, out=y[..., :paired])
        longer = x if self.n_visible > self.n_hidden else y
        longer[..., paired:] = point[..., 2 * paired :]
        left, right = self._rotations
        return self._snap(x @ left.mT), self._snap(y @ right.mT)

    def _snap(self, activity: Tensor) -> Tensor:
        """Rounding of the rotation must not push a vertex of the cube out of the cube."""
        clamped = activity.clamp(0.0, 1.0)
        if bool((activity - clamped).abs_().amax() > self._slack) if activity.numel() else False:
            return torch.where((activity - clamped).abs() <= self._slack, clamped, activity)
        return clamped

    def z(self, m: Arrays, n: Arrays) -> Tensor:
        """The point z = [u, w, unpaired] of activities m (..., N), n (..., M): the inverse of `bits`."""
        visible, hidden = self._as_bits(m, n)
        return self.modes.project(visible, hidden).z.to(self._dtype)

    def constraint(self, z: Arrays) -> Tensor:
        """V_const(z) = Σ s(m) + Σ s(n) (eq. 31) in nats: (...,); 0 at the centre of the cube, +inf outside."""
        return self.constraint_of_bits(*self.bits(z))

    def constraint_of_bits(self, m: Arrays, n: Arrays) -> Tensor:
        """V_const at activities m (..., N), n (..., M): (...,)."""
        return sum((self._cost(layer)[0] for layer in self._as_bits(m, n)), torch.zeros((), dtype=self._dtype))

    def _cost(self, activity: Tensor) -> tuple[Tensor, Tensor]:
        """Σ s over the last axis, and s' elementwise (±inf on the walls); NaN-free, +inf where outside."""
        low, high = torch.aminmax(activity.detach()) if activity.numel() else (torch.zeros(()), torch.zeros(()))
        log_off = torch.log1p(-activity)
        slope = torch.log(activity).sub_(log_off)
        width = activity.shape[-1] * math.log(2.0)
        if float(low) > 0.0 and float(high) < 1.0:
            return log_off.addcmul_(activity, slope).sum(-1).add_(width), slope
        terms = torch.special.xlogy(activity, activity) + torch.special.xlogy(1 - activity, 1 - activity)
        outside = (activity < 0) | (activity > 1)
        return terms.masked_fill_(outside, math.inf).sum(-1).add_(width), slope

    def _energy(self, point: Tensor) -> Tensor:
        """E(z) = Σ a0 b0/λ - λ/2 (u² - w²) - (unpaired biases)·z (eqs. 16, 19)."""
        _, _, singular_values, rest, constant = self._saddle
        paired = singular_values.shape[0]
        curvature = torch.cat([-singular_values, singular_values])
        energy = 0.5 * (point[..., : 2 * paired].square() @ curvature) + constant.to(self._dtype)
        return energy - point[..., 2 * paired :] @ rest if rest.numel() else energy

    def value(self, z: Arrays) -> Tensor:
        """U_eff(z): (...,); +inf outside the cube.

        Raises
        ------
        InputError : a coordinate is NaN
        """
        point = self._as_z(z)
        found = self._energy(point) + (self.constraint(point) - self._entropy) / self.beta
        if bool((nowhere := found.isnan()).any()):
            raise InputError(
                f"U_eff needs numbers, found NaN in {int(nowhere.sum())} of {nowhere.numel()} state(s); "
                "leave these states out"
            )
        return found

    @property
    def _entropy(self) -> float:
        """S_c = (N + M) ln 2 (eq. 25)."""
        return (self.n_visible + self.n_hidden) * math.log(2.0)

    def gradient(self, z: Arrays) -> Tensor:
        """∂U_eff/∂z: (..., N + M).

        Raises
        ------
        InputError : a state is not strictly inside the cube, where V_const has no gradient
        """
        return self.value_and_gradient(z)[1]

    def value_and_gradient(self, z: Arrays) -> tuple[Tensor, Tensor]:
        """U_eff (...,) and its gradient (..., N + M) with four matrix products: z to bits, and ln(m/(1-m)) back.

        Raises
        ------
        InputError : a state is not strictly inside the cube, where V_const has no gradient
        """
        point = self._as_z(z)
        _, _, singular_values, rest, _ = self._saddle
        paired = singular_values.shape[0]
        m, n = self.bits(point)
        self._require_inside(m, n)
        (visible_cost, visible_slope), (hidden_cost, hidden_slope) = self._cost(m), self._cost(n)
        left, right = self._rotations
        along_x, along_y = visible_slope @ left, hidden_slope @ right
        gradient = torch.empty_like(point)
        along_u, along_w = rotate(along_x[..., :paired], along_y[..., :paired])
        u, w = gradient[..., :paired], gradient[..., paired : 2 * paired]
        torch.div(along_u, self.beta, out=u).addcmul_(point[..., :paired], singular_values, value=-1.0)
        torch.div(along_w, self.beta, out=w).addcmul_(point[..., paired : 2 * paired], singular_values)
        longer = along_x if self.n_visible > self.n_hidden else along_y
        torch.div(longer[..., paired:], self.beta, out=gradient[..., 2 * paired :]).sub_(rest)
        value = self._energy(point) + (visible_cost + hidden_cost - self._entropy) / self.beta
        return value, gradient

    def _require_inside(self, m: Tensor, n: Tensor) -> None:
        extremes = [torch.aminmax(layer) for layer in (m, n) if layer.numel()]
        if all(float(low) > 0.0 and float(high) < 1.0 for low, high in extremes):
            return
        inside = ((m > 0) & (m < 1)).all(-1) & ((n > 0) & (n < 1)).all(-1)
        raise InputError(
            f"the potential has derivatives only strictly inside the cube 0 < m, n < 1, {int((~inside).sum())} of "
            f"{inside.numel()} state(s) are not; move them inwards, for example with m.clamp(1e-6, 1 - 1e-6)"
        )

    def value_of_bits(self, m: Arrays, n: Arrays) -> Tensor:
        """U_eff at activities m (..., N), n (..., M), which needs no modes: (...,)."""
        visible, hidden = self._as_bits(m, n)
        constraint = self.constraint_of_bits(visible, hidden)
        return self._rbm.energy(visible, hidden) + (constraint - self._entropy) / self.beta

    def gradient_of_bits(self, m: Arrays, n: Arrays) -> tuple[Tensor, Tensor]:
        """∂U_eff/∂m = ln(m/(1-m))/β - a - Wn and ∂U_eff/∂n = ln(n/(1-n))/β - b - Wᵀm: (..., N), (..., M).

        Raises
        ------
        InputError : a state is not strictly inside the cube
        """
        visible, hidden = self._as_bits(m, n)
        self._require_inside(visible, hidden)
        return (
            torch.logit(visible) / self.beta - self._rbm.visible_field(hidden),
            torch.logit(hidden) / self.beta - self._rbm.hidden_field(visible),
        )

    def hessian_vector_product(self, z: Arrays, vector: Arrays) -> Tensor:
        """(∂²U_eff/∂z²) p for points and vectors (..., N + M), with four matrix products and no matrix of that size.

        Raises
        ------
        InputError : a state is not strictly inside the cube
        """
        direction = self._as_z(vector)
        _, _, singular_values, _, _ = self._saddle
        paired = singular_values.shape[0]
        m, n = self.bits(z)
        self._require_inside(m, n)
        left, right = self._rotations
        u, w = direction[..., :paired], direction[..., paired : 2 * paired]
        x, y = rotate_back(u, w)
        if self.n_visible > self.n_hidden:
            x = torch.cat([x, direction[..., 2 * paired :]], -1)
        else:
            y = torch.cat([y, direction[..., 2 * paired :]], -1)
        along_x = ((x @ left.mT) / (m * (1 - m) * self.beta)) @ left
        along_y = ((y @ right.mT) / (n * (1 - n) * self.beta)) @ right
        along_u, along_w = rotate(along_x[..., :paired], along_y[..., :paired])
        longer = along_x if self.n_visible > self.n_hidden else along_y
        return torch.cat(
            [
                along_u - singular_values * u,
                along_w + singular_values * w,
                longer[..., paired:],
            ],
            -1,
        )

    def derivatives(self, z: Arrays) -> ConstraintDerivatives:
        """Derivatives of V_const up to the fourth order at one point z (N + M,)."""
        m, n = self.bits(z)
        if m.ndim != 1:
            raise InputError(f"derivatives are taken at one point, got a batch of shape {tuple(m.shape)}; pass one z")
        return ConstraintDerivatives(self.modes, m.double(), n.double())

    def hessian(self, z: Arrays) -> Tensor:
        """∂²U_eff/∂z² at one point z (N + M,): (N + M, N + M), float64.

        Raises
        ------
        InputError : more than one point, or a point that is not strictly inside the cube
        """
        matrix = torch.from_numpy(np.divide(self.derivatives(z).hessian(), self.beta)).to(self._rbm.device)
        singular_values = self.modes.singular_values
        paired = singular_values.shape[0]
        matrix.diagonal()[: 2 * paired] += torch.cat([-singular_values, singular_values])
        return matrix
