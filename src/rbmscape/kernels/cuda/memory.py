"""How much device memory models, chains and their training take, before any of it is asked for.

The sums are those of the buffers in `rbmscape.kernels.cuda.models`, `rbmscape.kernels.cuda.phases` and
`rbmscape.kernels.cuda.update`, byte by byte; a tenth is kept free for the allocator and for copies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch

from rbmscape.errors import EngineError
from rbmscape.kernels.cuda.models import CHAINS, ROW, padded

__all__ = ["Sizes", "check_room", "free_bytes", "sampler_bytes"]

USABLE: Final = 0.9
CONTEXT: Final = 600 * 2**20
"""Bytes that kernels, libraries and recorded launches take beside the buffers."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the memory of a training follows from; of one model and of what all have in common.

    Attributes
    ----------
    n_visible, n_hidden, n_train, batch_size, n_chains : numbers of units, rows and chains
    updates : of the whole training, whose schedule lies on the device
    rows : of parameters: the parameters themselves, gradient, average where there is one, slots of the optimiser
    """

    n_visible: int
    n_hidden: int
    n_train: int
    batch_size: int
    n_chains: int
    updates: int
    rows: int

    @property
    def of_a_model(self) -> int:
        """Bytes of one model more."""
        n, m = self.n_visible, self.n_hidden
        visible, hidden = padded(n, ROW), padded(m, ROW)
        second = padded(self.batch_size, CHAINS)
        places = second + padded(self.n_chains, CHAINS)
        phases = second * visible + visible * places + 4 * hidden * places + 4 * visible * hidden
        parameters = 4 * self.rows * padded(n * m + n + m, 64)
        return sampler_bytes(n, m, self.n_chains) + phases + parameters + 4 * self.n_train + 12 * self.updates

    @property
    def common(self) -> int:
        """Bytes that do not depend on the number of models: twice the data, and what is not ours."""
        return CONTEXT + self.n_train * (padded(self.n_visible, ROW) + self.n_visible)

    def models_that_fit(self, free: int) -> int:
        """Models that fit into free bytes at once."""
        return max(0, int((USABLE * free - self.common) // self.of_a_model))


def sampler_bytes(n_visible: int, n_hidden: int, n_chains: int) -> int:
    """Of the rounded weights in both layouts, and of the chains."""
    visible, hidden = padded(n_visible, ROW), padded(n_hidden, ROW)
    chains = padded(max(1, n_chains), CHAINS)
    return 4 * visible * hidden + 8 * (visible + hidden) + 8 * (n_visible + n_hidden) + chains * (visible + hidden)


def free_bytes(device: torch.device) -> int | None:
    """Of device memory, those that torch holds for itself included; None under the interpreter."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))


def check_room(device: torch.device, needed: int, what: str) -> None:
    """Refuse what does not fit.

    Raises
    ------
    EngineError : it needs more bytes than are free
    """
    free = free_bytes(device)
    if free is not None and needed > USABLE * free:
        raise EngineError(
            f"{what} need {needed / 2**30:.1f} GiB of device memory and {free / 2**30:.1f} GiB are free; take fewer "
            "chains, or work on the processor with engine='cpu'"
        )
