r"""What a mode does to an image (arXiv:2503.21536, section 5.2, figure 6).

The last sampling step is repeated with rotated left singular vectors, ``v ~ σ(β(R U Rᵀ Σ Vᵀ h + a))`` (the paper
prints b for a).  A π-rotation in the plane of two mode indices flips the signs of both modes: ``U Rᵀ`` is a change of W
of rank 2 a plane.  The left factor R of the printed formula turns the *pixels* whose numbers equal the mode indices,
which is an accident of how units are numbered; ``pixels=False`` leaves it out.
Shapes: v (..., N), h (..., M), images (height, width).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from rbmscape.brief import OneLine
from rbmscape.errors import InputError, ShapeError
from rbmscape.model.arrays import Arrays
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.modes import Modes
from rbmscape.rng import Stream
from rbmscape.stats import Estimate, mean_estimate
from rbmscape.symmetry.rotations import Rotation, random_planes

__all__ = [
    "ModeEffect",
    "RotatedSamples",
    "connected_share",
    "hierarchy_profile",
    "mode_effect",
    "mode_rotation",
    "random_mode_rotation",
    "rotated_field",
    "rotated_samples",
]

FloatArray = NDArray[np.float64]
FEWEST_CHANGED: Final = 5


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RotatedSamples(OneLine):
    """Samples of the last step before and after a rotation, from the same random numbers.

    Attributes
    ----------
    before, after : (n, N) uint8 states drawn with one uniform number a pixel and sample for both
    p_before, p_after : (n, N) float64 probabilities; ``|p_after - p_before|`` is the exact probability that a pixel
        differs between the two draws
    """

    before: Tensor
    after: Tensor
    p_before: Tensor
    p_after: Tensor

    def _headline(self) -> str:
        changed = float((self.p_after - self.p_before).abs().sum(-1).mean())
        return f"{self.before.shape[0]} samples of {self.before.shape[1]} units, {changed:.4g} changed on average"


@dataclass(frozen=True, slots=True, repr=False)
class ModeEffect(OneLine):
    """Effect of a rotation on the image, averaged over samples.

    Attributes
    ----------
    pixels_changed : expected number of pixels that differ, ``Σ_i |Δp_i|`` averaged over h
    area : bounding box of the changed pixels as a share of the image, over samples with at least 5 changed pixels; NaN
        without an image shape
    connected : share of the changed pixels in their largest connected patch (8 neighbours), over the same samples (a
        single pixel is always connected); NaN without an image shape
    connected_random : the same for as many pixels in random places, the value without any order
    spread : participation ratio ``(Σ_i |Δp_i|)² / Σ_i Δp_i²``, the number of pixels that share the change
    """

    pixels_changed: Estimate
    area: Estimate
    connected: Estimate
    connected_random: Estimate
    spread: Estimate


def mode_rotation(n_visible: int, planes: ArrayLike, angle: float | ArrayLike = math.pi) -> Rotation:
    """Rotation in planes of mode indices, by default half a turn.

    Parameters
    ----------
    n_visible : N
    planes : (k, 2) pairs of mode indices, from 0
    angle : one angle or k of them, in radians

    Raises
    ------
    InputError : a mode index out of range, a pair of one mode with itself, an angle that is not finite
    """
    return Rotation.in_axes(n_visible, planes, angle)


def random_mode_rotation(
    n_visible: int, mode_indices: Sequence[int], n_rotations: int = 10, angle: float = math.pi, seed: int = 0
) -> Rotation:
    """Rotations in different random planes of the given modes (third panel of figure 6).

    Raises
    ------
    InputError : more planes than two of these modes can span, a mode index out of range, an angle that is not finite
    """
    generator = Stream(seed, "symmetry/hierarchy/planes").numpy(0)
    return Rotation.in_axes(n_visible, random_planes(list(mode_indices), n_rotations, generator), angle)


def rotated_field(rbm: RBM, modes: Modes, h: Arrays, rotation: Rotation, pixels: bool = True) -> Tensor:
    """``R U Rᵀ Σ Vᵀ h + a``, the field of the visible units after a rotation, (..., N) float64.

    Parameters
    ----------
    modes : decomposition of the model
    h : (..., M) hidden states
    rotation : of N dimensions, indices are mode indices
    pixels : also apply the left factor R, as the paper's formula does

    Raises
    ------
    ShapeError : h or the rotation does not fit the model
    InputError : the modes' bases are not complete
    """
    if rotation.size != modes.n_visible:
        raise ShapeError(f"the rotation must have {modes.n_visible} dimensions, found {rotation.size}")
    modes.check_complete("a rotation of all modes")
    hidden = rbm.as_hidden(h).to(torch.float64)
    flat = hidden.reshape(-1, modes.n_hidden)
    along = torch.zeros(modes.n_visible, flat.shape[0], dtype=torch.float64, device=flat.device)
    paired = modes.n_paired
    along[:paired] = modes.singular_values[:, None] * (modes.right[:, :paired].T @ flat.T)
    turned = modes.left @ rotation.inverse.apply(along)
    field = (rotation.apply(turned) if pixels else turned).T + rbm.visible_bias.to(torch.float64)
    return field.reshape(*hidden.shape[:-1], modes.n_visible)


def rotated_samples(
    rbm: RBM,
    modes: Modes,
    h: Arrays,
    rotation: Rotation,
    *,
    pixels: bool = True,
    beta: float = 1.0,
    seed: int = 0,
) -> RotatedSamples:
    """The last sampling step from given hidden states, as it is and with rotated singular vectors (figure 6).

    Both draws use the same uniform numbers, so that pixels differ because of the rotation alone.

    Parameters
    ----------
    h : (n, M) hidden states, equilibrium samples of the model
    rotation, pixels : see `rotated_field`

    Raises
    ------
    ShapeError : h is not (n, M), or the rotation does not fit the model
    """
    hidden = rbm.as_hidden(h)
    if hidden.ndim != 2:
        raise ShapeError(f"hidden states must have shape (n, {rbm.n_hidden}), found {tuple(hidden.shape)}")
    p_before = rbm.to(dtype=torch.float64).visible_probability(hidden.to(torch.float64), beta)
    p_after = torch.sigmoid(beta * rotated_field(rbm, modes, hidden, rotation, pixels))
    draws = Stream(seed, "symmetry/hierarchy/samples").numpy(0).random(tuple(p_before.shape))
    uniform = torch.from_numpy(draws).to(p_before.device)
    return RotatedSamples((uniform < p_before).to(torch.uint8), (uniform < p_after).to(torch.uint8), p_before, p_after)


def connected_share(changed: NDArray[np.bool_]) -> float:
    """Share of the changed pixels of one image (height, width) in their largest patch of 8-neighbours; NaN if none."""
    from scipy.ndimage import label

    total = int(changed.sum())
    if total == 0:
        return math.nan
    patches, _ = label(changed, structure=np.ones((3, 3), dtype=np.int64))
    return float(np.bincount(patches.ravel())[1:].max() / total)


def _box_share(changed: NDArray[np.bool_]) -> float:
    """Pixels in the bounding box of the changed ones as a share of the image; NaN if none changed."""
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    if rows.size == 0:
        return math.nan
    return float((rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1) / changed.size)


def _finite_mean(values: Sequence[float]) -> Estimate:
    finite = np.asarray([x for x in values if math.isfinite(x)])
    return mean_estimate(finite) if finite.size > 1 else Estimate(math.nan, math.nan, float(finite.size))


def mode_effect(samples: RotatedSamples, image_shape: tuple[int, int] | None = None, seed: int = 0) -> ModeEffect:
    """How many pixels a rotation changes, and how local the change is, with errors over independent samples.

    Parameters
    ----------
    samples : before and after a rotation; rows must come from independent chains for the errors to hold
    image_shape : (height, width); None where the data are no images, which leaves area and connectedness NaN
    seed : places of the random control

    Raises
    ------
    ShapeError : the image shape does not hold N pixels
    """
    difference = (samples.p_after - samples.p_before).abs()
    totals = difference.sum(1)
    spread = totals.square() / difference.square().sum(1).clamp_min(torch.finfo(torch.float64).tiny)
    blank = Estimate(math.nan, math.nan, 0.0)
    area = connected = control = blank
    if image_shape is not None:
        area, connected, control = _shape_of_change(samples, image_shape, seed)
    return ModeEffect(
        mean_estimate(totals.cpu().numpy()), area, connected, control, mean_estimate(spread.cpu().numpy())
    )


def hierarchy_profile(
    rbm: RBM,
    modes: Modes,
    h: Arrays,
    mode_indices: Sequence[int],
    image_shape: tuple[int, int] | None = None,
    *,
    angle: float = math.pi,
    pixels: bool = False,
    beta: float = 1.0,
    seed: int = 0,
) -> list[ModeEffect]:
    """Effect on the image of turning mode i and i + 1 about each other, for every i of ``mode_indices``.

    Parameters
    ----------
    h : (n, M) hidden states of independent equilibrium samples
    mode_indices : first mode of each plane, from 0 to min(N, M) - 2
    image_shape, angle, pixels, beta : see `mode_effect`, `mode_rotation` and `rotated_field`

    Raises
    ------
    InputError : a mode index out of range, an angle that is not finite
    """
    outside = [i for i in mode_indices if not 0 <= i < modes.n_paired - 1]
    if outside:
        raise InputError(f"planes of neighbouring modes start from 0 to {modes.n_paired - 2}, found {outside[0]}")
    effects = []
    for first in mode_indices:
        rotation = mode_rotation(modes.n_visible, [(first, first + 1)], angle)
        samples = rotated_samples(rbm, modes, h, rotation, pixels=pixels, beta=beta, seed=seed)
        effects.append(mode_effect(samples, image_shape, seed))
    return effects


def _shape_of_change(
    samples: RotatedSamples, image_shape: tuple[int, int], seed: int
) -> tuple[Estimate, Estimate, Estimate]:
    units = samples.before.shape[1]
    if math.prod(image_shape) != units or len(image_shape) != 2:
        raise ShapeError(f"the image shape must hold {units} pixels, found {image_shape}")
    changed = (samples.before != samples.after).cpu().numpy()
    changed = changed[changed.sum(1) >= FEWEST_CHANGED].reshape(-1, *image_shape)
    generator = Stream(seed, "symmetry/hierarchy/control").numpy(0)
    scattered = generator.permuted(changed.reshape(-1, units), axis=1).reshape(changed.shape)
    return (
        _finite_mean([_box_share(image) for image in changed]),
        _finite_mean([connected_share(image) for image in changed]),
        _finite_mean([connected_share(image) for image in scattered]),
    )
