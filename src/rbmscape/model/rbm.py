"""The model: energy, conditionals and free energy (arXiv:2503.21536, section 2, equations 3, 10 and 11).

Shapes: visible states are (..., N), hidden states (..., M), weights (N, M); batch axes lead.  Energies are in units of
k_B T at beta = 1.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor

from rbmscape.arguments import checked
from rbmscape.arrays import in_order
from rbmscape.brief import OneLine
from rbmscape.cards import card, curve, image_shape_of, images
from rbmscape.checks import check_batches, check_count, in_short, is_number, shown
from rbmscape.errors import EngineError, FormatError, InputError, ShapeError
from rbmscape.files import read_tensors, write_tensors
from rbmscape.memory import check_memory
from rbmscape.model.arrays import Arrays, as_float_tensor, as_layer

__all__ = ["CHECKPOINT_FORMAT", "PARAMETER_NAMES", "RBM", "RUN_SCHEMA", "named_columns"]

MODEL_FORMAT: Final = "rbmscape-model"
MODEL_SCHEMA: Final = 1
CHECKPOINT_FORMAT: Final = "rbmscape-checkpoint"
RUN_SCHEMA: Final = 2
"""Of the files of a run.  Since 2 its record says in which arithmetic parameters are moved; an older release would not
follow it."""
PARAMETER_NAMES: Final = ("weights", "visible_bias", "hidden_bias")
MAX_SHOWN_WEIGHTS: Final = 2**22
"""Weights of which a notebook shows the spectrum: a second of one core."""


class RBM(OneLine):
    r"""A Restricted Boltzmann Machine on v in {0,1}^N and h in {0,1}^M.

    ``E(v, h) = -a·v - b·h - vᵀ W h`` (equation 3) and ``p(v, h) = exp(-beta E) / Z``.

    Parameters
    ----------
    weights : (N, M) array W, NumPy or torch, float32 or float64
    visible_bias : (N,) array a
    hidden_bias : (M,) array b
    columns : names of the visible units, those of the columns of the data, or None; tables and data sets that have
        names are then asked by name, whatever the order of their columns

    Raises
    ------
    ShapeError : the shapes do not fit together, or a layer is empty
    InputError : a parameter is not a finite number

    Notes
    -----
    The parameters are copied and must not be changed; biases take the dtype and device of the weights.
    """

    __slots__ = ("_columns", "_hidden_bias", "_visible_bias", "_weights")

    def __init__(
        self, weights: Arrays, visible_bias: Arrays, hidden_bias: Arrays, *, columns: Sequence[str] | None = None
    ) -> None:
        matrix = as_float_tensor(weights, "weights")
        if matrix.ndim != 2 or 0 in matrix.shape:
            raise ShapeError(
                f"weights must be a matrix with one row a visible and one column a hidden unit, "
                f"found shape {tuple(matrix.shape)}"
            )
        self._weights = matrix.detach().clone().contiguous()
        self._visible_bias = self._bias(visible_bias, "visible_bias", matrix.shape[0])
        self._hidden_bias = self._bias(hidden_bias, "hidden_bias", matrix.shape[1])
        self._columns = None if columns is None else tuple(map(str, columns))
        if self._columns is not None and len(self._columns) != self.n_visible:
            raise ShapeError(
                f"columns must name the {self.n_visible} visible units, found {len(self._columns)}; give one name a "
                "unit, or none at all"
            )

    def _bias(self, values: Arrays, name: str, units: int) -> Tensor:
        bias = as_float_tensor(values, name)
        if bias.shape != (units,):
            raise ShapeError(
                f"{name} must have shape ({units},) to fit weights of shape {tuple(self._weights.shape)}, "
                f"found {tuple(bias.shape)}"
            )
        cast = bias.detach().to(device=self.device, dtype=self.dtype, copy=True)
        if not bool(torch.isfinite(cast).all()):
            raise InputError(f"{name} holds values beyond {self.dtype}; give smaller ones or weights in float64")
        return cast

    @classmethod
    @checked
    def random(cls, n_visible: int, n_hidden: int, std: float = 0.01, seed: int = 0) -> RBM:
        """Untrained model: W ~ Normal(0, std²) in float32, zero biases.

        Raises
        ------
        InputError : a layer size below 1, or a negative or infinite standard deviation
        """
        from rbmscape.rng import Stream

        for name, count in (("n_visible", n_visible), ("n_hidden", n_hidden)):
            check_count(name, count)
        check_memory(12 * n_visible * n_hidden, f"{n_visible} x {n_hidden} weights", "choose smaller layers")
        if not is_number(std) or not 0.0 <= std < float("inf"):
            raise InputError(f"std must be a finite number of at least 0, found {std!r}; 0.01 is usual")
        draws = Stream(seed, "model/weights").numpy(0).standard_normal((n_visible, n_hidden))
        weights = torch.from_numpy(draws).mul_(std).to(torch.float32)
        return cls(weights, torch.zeros(n_visible), torch.zeros(n_hidden))

    @property
    def weights(self) -> Tensor:
        """(N, M) weights W."""
        return self._weights

    @property
    def visible_bias(self) -> Tensor:
        """(N,) visible biases a."""
        return self._visible_bias

    @property
    def hidden_bias(self) -> Tensor:
        """(M,) hidden biases b."""
        return self._hidden_bias

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Names of the visible units, or None."""
        return self._columns

    @property
    def n_visible(self) -> int:
        """Number N of visible units."""
        return int(self._weights.shape[0])

    @property
    def n_hidden(self) -> int:
        """Number M of hidden units."""
        return int(self._weights.shape[1])

    @property
    def device(self) -> torch.device:
        """Device of the parameters."""
        return self._weights.device

    @property
    def dtype(self) -> torch.dtype:
        """torch.float32 or torch.float64."""
        return self._weights.dtype

    def _headline(self) -> str:
        precision = str(self.dtype).removeprefix("torch.")
        return f"{self.n_visible} visible, {self.n_hidden} hidden, {precision} on {self.device}"

    def _repr_html_(self) -> str:
        """For notebooks: the spectrum, and the weights of the strongest hidden units where rows are square images."""
        weights, spectrum = self._weights.detach().cpu(), ""
        if weights.numel() <= MAX_SHOWN_WEIGHTS:
            values = torch.linalg.svdvals(weights.to(torch.float64)).numpy()
            spectrum = curve(range(len(values)), values, "singular values")
        strongest = weights[:, weights.norm(dim=0).argsort(descending=True)[:8]]
        shown = images(strongest.T, image_shape_of(self.n_visible), "weights of the strongest hidden units")
        return card("RBM", {"": self._headline()}, spectrum, shown)

    def as_visible(self, v: Arrays) -> Tensor:
        """(..., N) visible states or mean values as a tensor of the model's dtype and device.

        Raises
        ------
        ShapeError : the last axis is not n_visible
        InputError : entries that are no numbers from 0 to 1
        """
        states = in_order(v, self.columns, "visible states")
        return as_layer(states, self.n_visible, "visible", self.dtype, self.device, closed=True)

    def as_hidden(self, h: Arrays) -> Tensor:
        """(..., M) hidden states or mean values as a tensor of the model's dtype and device.

        Raises
        ------
        ShapeError : the last axis is not n_hidden
        InputError : entries that are no numbers from 0 to 1
        """
        return as_layer(h, self.n_hidden, "hidden", self.dtype, self.device, closed=True)

    def _real(self, values: Arrays, layer: str) -> Tensor:
        """Any real numbers, one a unit: what is linear in states needs no more."""
        values = in_order(values, self.columns, "visible states") if layer == "visible" else values
        units = self.n_visible if layer == "visible" else self.n_hidden
        return as_layer(values, units, layer, self.dtype, self.device)

    def hidden_field(self, v: Arrays) -> Tensor:
        """C = Wᵀv + b of equation 11, (..., M), for any real v."""
        return self._real(v, "visible") @ self._weights + self._hidden_bias

    def visible_field(self, h: Arrays) -> Tensor:
        """D = Wh + a, (..., N), for any real h."""
        return self._real(h, "hidden") @ self._weights.T + self._visible_bias

    def energy(self, v: Arrays, h: Arrays) -> Tensor:
        """E(v, h) = -a·v - b·h - vᵀ W h (equation 3).

        Parameters
        ----------
        v : (..., N), entries 0 or 1, or any real numbers, since E is linear in either layer
        h : (..., M), likewise, same or broadcastable batch axes

        Returns
        -------
        (...,) in units of k_B T at beta = 1; exact

        Raises
        ------
        ShapeError : a last axis does not fit the model
        """
        visible, hidden = self._real(v, "visible"), self._real(h, "hidden")
        check_batches(visible, hidden)
        coupled = ((visible @ self._weights + self._hidden_bias) * hidden).sum(-1)
        return -(visible @ self._visible_bias) - coupled

    @checked
    def free_energy(self, v: Arrays, beta: float = 1.0) -> Tensor:
        """F(v) = -a·v - (1/beta) Σ_j softplus(beta (b_j + (Wᵀv)_j)), so that p(v) = exp(-beta F(v)) / Z.

        Parameters
        ----------
        v : (..., N), entries 0 or 1
        beta : inverse temperature, > 0

        Returns
        -------
        (...,) in units of k_B T at beta = 1; exact

        Raises
        ------
        ShapeError : the last axis is not n_visible
        InputError : entries that are no numbers from 0 to 1
        """
        visible = self.as_visible(v)
        fields = visible @ self._weights + self._hidden_bias
        softplus = torch.nn.functional.softplus(beta * fields).sum(-1) / beta
        return -(visible @ self._visible_bias) - softplus

    @checked
    def hidden_probability(self, v: Arrays, beta: float = 1.0) -> Tensor:
        """p(h_j = 1 | v) = σ(beta (Wᵀv + b)_j) (equations 10 and 11), (..., M); exact."""
        return torch.sigmoid(beta * self.hidden_field(self.as_visible(v)))

    @checked
    def visible_probability(self, h: Arrays, beta: float = 1.0) -> Tensor:
        """p(v_i = 1 | h) = σ(beta (Wh + a)_i), (..., N); exact."""
        return torch.sigmoid(beta * self.visible_field(self.as_hidden(h)))

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> RBM:
        """Copy on another device or in another dtype (torch.float32 or torch.float64).

        Raises
        ------
        InputError : the dtype is neither
        EngineError : the device is not there
        """
        if not any(dtype is kind for kind in (None, torch.float32, torch.float64)):
            raise InputError(f"an RBM's dtype is torch.float32 or torch.float64, found {shown(dtype)}")
        try:
            moved = self._weights.to(device=device or self.device, dtype=dtype or self.dtype)
        except (RuntimeError, AssertionError, TypeError) as error:
            raise EngineError(
                f"device {shown(device)} cannot be used ({in_short(error)}); leave the model on {self.device}"
            ) from error
        return RBM(moved, self._visible_bias, self._hidden_bias, columns=self._columns)

    def transposed(self) -> RBM:
        """The same model with the layers exchanged: W -> Wᵀ, a <-> b; without names of units."""
        return RBM(self._weights.T, self._hidden_bias, self._visible_bias)

    @checked
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the parameters to a safetensors file, atomically.

        Raises
        ------
        DiskError : the file cannot be written
        """
        write_tensors(path, {name: getattr(self, name) for name in PARAMETER_NAMES}, self.metadata)

    @property
    def metadata(self) -> dict[str, str]:
        """What a model's file says beside its parameters."""
        return {"format": MODEL_FORMAT, "schema": str(MODEL_SCHEMA), **named_columns(self._columns)}

    @classmethod
    @checked
    def load(cls, path: str | os.PathLike[str]) -> RBM:
        """Read a model that `save` wrote, or any checkpoint of a run; nothing in the file is executed.

        Raises
        ------
        DiskError : the file is missing or unreadable
        FormatError : it is not a safetensors file with these parameters, or a newer release wrote it
        """
        tensors, metadata = read_tensors(path)
        missing = [name for name in PARAMETER_NAMES if name not in tensors]
        if missing:
            raise FormatError(
                f"{os.fspath(path)} holds {in_short(json.dumps(sorted(tensors)))} but not {', '.join(missing)}; "
                f"give a file that RBM.save or a run wrote"
            )
        schema = metadata.get("schema", "1")
        newest = RUN_SCHEMA if metadata.get("format") == CHECKPOINT_FORMAT else MODEL_SCHEMA
        if not schema.isdigit() or int(schema) > newest:
            raise FormatError(
                f"{os.fspath(path)} has model schema {shown(schema)}, this release reads up to {newest}; "
                "update rbmscape"
            )
        return cls(*(tensors[name] for name in PARAMETER_NAMES), columns=_read_columns(metadata, path))


def named_columns(columns: Sequence[str] | None) -> dict[str, str]:
    """Names of the visible units as an entry of a file's metadata; empty where there are none."""
    return {} if columns is None else {"columns": json.dumps(list(columns))}


def _read_columns(metadata: Mapping[str, str], path: str | os.PathLike[str]) -> list[str] | None:
    """What `named_columns` wrote.

    Raises
    ------
    FormatError : it is no list of names
    """
    words = metadata.get("columns")
    try:
        found = None if words is None else json.loads(words)
    except ValueError:
        found = words
    if found is not None and not (isinstance(found, list) and all(isinstance(name, str) for name in found)):
        raise FormatError(f"{os.fspath(path)} holds damaged names of columns, found {shown(words)}; write it again")
    return found
