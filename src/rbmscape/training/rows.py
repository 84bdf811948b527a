"""Training rows as tensors: written out, or packed and written out a minibatch at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from rbmscape.data.packed import PackedBits

if TYPE_CHECKING:
    from rbmscape.data.dataset import Binary

__all__ = ["PackedRows", "Rows", "training_rows"]


class PackedRows:
    """(n, N) packed bits of which indices give uint8 tensors on a device.

    Parameters
    ----------
    bits : the rows
    device : where they are written out
    """

    def __init__(self, bits: PackedBits, device: torch.device) -> None:
        self._bits, self.device = bits, device
        self.shape = torch.Size(bits.shape)

    def __len__(self) -> int:
        return len(self._bits)

    def __getitem__(self, key: slice | Tensor) -> Tensor:
        return torch.from_numpy(self._bits[key.cpu().numpy() if isinstance(key, Tensor) else key]).to(self.device)

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """Rows by their indices, as of a tensor; the only axis is 0."""
        assert dim == 0
        return self[index]

    def sum(self, dim: int, dtype: torch.dtype) -> Tensor:
        """(N,) ones in each column."""
        assert dim == 0
        return torch.from_numpy(self._bits.sum()).to(device=self.device, dtype=dtype)


Rows: TypeAlias = Tensor | PackedRows


def training_rows(values: Binary | Any, device: torch.device) -> Rows:
    """Rows of a data set on a device, packed if they are packed there and the device is the processor."""
    if not isinstance(values, PackedBits):
        return torch.tensor(values, device=device)
    return PackedRows(values, device) if device.type == "cpu" else torch.from_numpy(values[:]).to(device)
