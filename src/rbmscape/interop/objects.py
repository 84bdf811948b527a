"""Models that other tools hold in memory: their attributes are read, nothing of theirs is called but ``state_dict``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rbmscape.errors import FormatError, InputError
from rbmscape.interop.named import NAMES, model_of_arrays
from rbmscape.model.rbm import RBM

__all__ = ["model_of_object"]

_NOT_BINARY: Final = ("gauss", "potts", "relu", "softmax", "multinomial", "categorical", "replicated")
"""Parts of the names of classes whose units are not binary."""


def model_of_object(model: object, *, transpose: bool | None = None, states: str = "bits") -> RBM:
    """The model of scikit-learn's, rbms' or learnergy's object, of a PyTorch module, or of a mapping of arrays.

    Raises
    ------
    FormatError : the class has other than binary units, or no known parameters
    InputError : it is not fitted yet
    """
    kind = type(model).__name__
    if any(part in kind.lower() for part in _NOT_BINARY):
        raise FormatError(f"a {kind} has units that are not binary; this package models bits only")
    if isinstance(model, Mapping):
        return model_of_arrays(model, "the mapping", transpose=transpose, states=states)
    attributes = {name for names in NAMES for name in names}
    arrays = {name: getattr(model, name) for name in attributes if _is_array(getattr(model, name, None))}
    if not arrays and callable(getattr(model, "state_dict", None)):
        arrays = model.state_dict()  # type: ignore[attr-defined]
    if not arrays and hasattr(model, "n_components"):
        raise InputError(f"this {kind} is not fitted yet; call its fit first")
    found = model_of_arrays(arrays, f"this {kind}", transpose=transpose, states=states)
    columns = getattr(model, "feature_names_in_", None)
    is_named = columns is not None and len(columns) == found.n_visible
    return RBM(found.weights, found.visible_bias, found.hidden_bias, columns=columns) if is_named else found


def _is_array(value: object) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")
