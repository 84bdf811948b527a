"""Arrays at the public edge: NumPy or torch in, a checked tensor of the model's dtype and device out."""

from __future__ import annotations

from typing import Any, TypeAlias

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
    """
    tensor: Any = values if isinstance(values, Tensor) else torch.as_tensor(np.asarray(values))
    if tensor.ndim == 0 or tensor.shape[-1] != units:
        raise ShapeError(
            f"{layer} states need {units} values on their last axis (one a {layer} unit), "
            f"found shape {tuple(tensor.shape)}; batch axes come first"
        )
    result: Tensor = tensor.to(device=device, dtype=dtype)
    return result
