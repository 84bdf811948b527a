"""Arrays at the public edge: NumPy or torch in, a checked tensor of the model's dtype and device out."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from rbmscape.arrays import number_array, on_a_device
from rbmscape.errors import InputError, ShapeError

__all__ = ["Arrays", "as_float_tensor", "as_layer"]

Arrays: TypeAlias = Tensor | ArrayLike
ROUNDING: Final = 1e-5
_CURE: Final = "give finite real numbers"
_CLOSED_CURE: Final = "give 0, 1 or values between them"


def as_float_tensor(values: Arrays, name: str) -> Tensor:
    """Float32 or float64 tensor of ``values``; Python numbers and 8-byte NumPy types become float64, others float32.

    Raises
    ------
    InputError : the values are not numbers, or hold NaN or infinity
    """
    if isinstance(values, Tensor) and values.layout == torch.strided and not values.is_complex():
        tensor: Tensor = on_a_device(values, name)
    else:
        array = number_array(values, name)
        tensor = torch.from_numpy(np.array(array, dtype=np.float32 if array.dtype.itemsize <= 4 else np.float64))
    if tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.to(torch.float32)
    if not bool(torch.isfinite(tensor).all()):
        bad = int((~torch.isfinite(tensor)).sum())
        raise InputError(f"{name} holds {bad} NaN or infinite value(s); remove them before making an RBM")
    return tensor


def as_layer(
    values: Arrays, units: int, layer: str, dtype: torch.dtype, device: torch.device, *, closed: bool = False
) -> Tensor:
    """States (or mean values) of one layer as a (..., units) tensor of the model's dtype and device.

    Parameters
    ----------
    values : a tensor, or anything that `rbmscape.arrays.number_array` takes
    units : of the layer
    layer : how messages call it
    dtype, device : of the model
    closed : whether entries must lie between 0 and 1; else any finite number will do

    Raises
    ------
    ShapeError : the last axis does not have one entry a unit
    InputError : entries that are masked, NaN, infinite, no real numbers, or outside [0, 1]
    """
    tensor = _numbers(values, f"{layer} states", _CLOSED_CURE if closed else _CURE)
    if tensor.ndim == 0 or tensor.shape[-1] != units:
        raise ShapeError(
            f"{layer} states need {units} values on their last axis (one a {layer} unit), "
            f"found shape {tuple(tensor.shape)}; batch axes come first"
        )
    if closed:
        _check_closed(tensor, layer)
    result: Tensor = tensor.to(device=device, dtype=dtype)
    return result


def _numbers(values: Arrays, name: str, cure: str) -> Tensor:
    """A dense tensor of real and finite numbers."""
    if isinstance(values, Tensor) and values.layout == torch.strided:
        if values.is_complex():
            raise InputError(f"{name} must be real numbers, found dtype {values.dtype}; {cure}")
        tensor: Tensor = on_a_device(values, name)
    else:
        array = number_array(values, name)
        tensor = torch.from_numpy(np.array(array, dtype=np.float64 if array.dtype.itemsize > 8 else None, order="C"))
    if tensor.is_floating_point() and not bool((finite := torch.isfinite(tensor)).all()):
        rows = finite.reshape(-1, tensor.shape[-1] if tensor.ndim else 1).all(-1)
        raise InputError(f"{name} hold NaN or infinite values in {int((~rows).sum())} of {rows.numel()} row(s); {cure}")
    return tensor


def _check_closed(states: Tensor, layer: str) -> None:
    """Refuse entries that are neither 0, 1 nor between them, but for rounding."""
    if states.dtype == torch.bool or not states.numel():
        return
    least, largest = (float(bound) for bound in torch.aminmax(states.detach()))
    if not (least >= -ROUNDING and largest <= 1.0 + ROUNDING):
        raise InputError(f"{layer} states hold {least if least < 0 else largest:g}; {_CLOSED_CURE}")
