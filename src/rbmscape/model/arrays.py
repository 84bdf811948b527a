"""Arrays at the public edge: NumPy or torch in, a checked tensor of the model's dtype and device out."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from rbmscape.errors import InputError, ShapeError

__all__ = ["Arrays", "as_float_tensor", "as_layer"]

Arrays: TypeAlias = Tensor | ArrayLike


def as_float_tensor(values: Arrays, name: str) -> Tensor:
    """Float32 or float64 tensor of ``values``; Python numbers and 8-byte NumPy types become float64, others float32.

    Raises
    ------
    InputError : the values are not numbers, or hold NaN or infinity
    """
    if isinstance(values, Tensor):
        tensor = values
    else:
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            raise InputError(f"{name} must hold numbers, found dtype {array.dtype}; convert it first")
        tensor = torch.from_numpy(np.array(array, dtype=np.float32 if array.dtype.itemsize <= 4 else np.float64))
    if tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.to(torch.float32)
    if not bool(torch.isfinite(tensor).all()):
        bad = int((~torch.isfinite(tensor)).sum())
        raise InputError(f"{name} holds {bad} NaN or infinite value(s); remove them before making an RBM")
    return tensor


def as_layer(values: Arrays, units: int, layer: str, dtype: torch.dtype, device: torch.device) -> Tensor:
    """States (or mean values) of one layer as a (..., units) tensor of the model's dtype and device.

    Raises
    ------
    ShapeError : the last axis does not have one entry a unit
    InputError : an array, not a tensor, with entries that are masked, NaN, infinite or no real numbers
    """
    tensor = values if isinstance(values, Tensor) else _numbers(values, f"{layer} states")
    if tensor.ndim == 0 or tensor.shape[-1] != units:
        raise ShapeError(
            f"{layer} states need {units} values on their last axis (one a {layer} unit), "
            f"found shape {tuple(tensor.shape)}; batch axes come first"
        )
    result: Tensor = tensor.to(device=device, dtype=dtype)
    return result


def _numbers(values: ArrayLike, name: str) -> Tensor:
    """A tensor of finite real numbers from anything that NumPy reads, in native and positive memory order."""
    cure = "give 0, 1 or values between them"
    if np.ma.is_masked(values):
        raise InputError(f"{name} have masked entries; fill them in or leave those rows out")
    try:
        array = np.asarray(values)
        if array.dtype.kind == "O":
            array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} are no array of numbers with rows of equal length ({error}); {cure}") from error
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} must be real numbers, found dtype {array.dtype}; {cure}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"{name} hold NaN or infinite values; {cure}")
    return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))
