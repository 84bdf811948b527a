"""One model on several processes, which ``torchrun`` starts: chains and minibatch are shared out.

Every process holds the whole model, its part of the chains, and its part of each minibatch.  An update has one sum over
the processes, of the gradient's statistics; after it all make the same step.  The first process leads: it alone writes,
and tells the others what comes next.  Random numbers belong to chains, whichever process has them, so that the model is
that of one process but for the rounding of sums.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

import torch
from torch import Tensor

from rbmscape.errors import ConfigError, DivergenceError, EngineError, RbmscapeError
from rbmscape.kernels.interface import Gradient
from rbmscape.runs.config import TrainingConfig

__all__ = [
    "ALONE",
    "CHAINS",
    "RESTORE",
    "STEP",
    "STOP",
    "Team",
    "check_shares",
    "follow",
    "follows_here",
    "joined",
    "size_here",
]

STOP, STEP, CHAINS, RESTORE = range(4)
_ASKED: Final = "TORCHELASTIC_RUN_ID"
"""Set by ``torchrun`` in the processes that it starts."""


def size_here() -> int:
    """Processes that ``torchrun`` started to train one model, 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1")) if _ASKED in os.environ else 1


def follows_here() -> bool:
    """Whether this process does what another one tells it, and has nothing to say itself."""
    return size_here() > 1 and os.environ.get("RANK", "0") != "0"


@dataclass(frozen=True, slots=True)
class Team:
    """Processes that train one model.

    Attributes
    ----------
    rank, size : number of this process, and how many there are
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process has others to tell what comes next."""
        return self.size > 1 and self.rank == 0

    def part(self, count: int) -> int:
        """How many of `count` each process has."""
        return count // self.size

    def own(self, count: int) -> slice:
        """Which of `count` this process has."""
        return slice(self.rank * self.part(count), (self.rank + 1) * self.part(count))

    def tell(self, command: int) -> None:
        """Let the others do the same as this process, which leads."""
        if self.leads:
            torch.distributed.broadcast(torch.tensor(command), 0)

    def hear(self) -> int:
        """What the first process does next."""
        command = torch.tensor(STOP)
        torch.distributed.broadcast(command, 0)
        return int(command)

    def share(self, value: Any) -> Any:
        """What the first process gave."""
        if self.size == 1:
            return value
        box = [value]
        torch.distributed.broadcast_object_list(box, 0)
        return box[0]

    def gather(self, states: Tensor) -> Tensor:
        """The states of all processes, in their order."""
        if self.size == 1:
            return states
        parts = [torch.empty_like(states) for _ in range(self.size)]
        torch.distributed.all_gather(parts, states.contiguous())
        return torch.cat(parts)

    def average(self, gradient: Gradient, hidden_offset: Tensor) -> Tensor:
        """Mean of the gradients over the processes, in place; returns that of the hidden offsets."""
        if self.size == 1:
            return hidden_offset
        tensors = *gradient.tensors, hidden_offset
        flat = torch.cat([one.reshape(-1) for one in tensors])
        torch.distributed.all_reduce(flat)
        flat /= self.size
        first = 0
        for one in tensors:
            one.copy_(flat[first : first + one.numel()].view_as(one))
            first += one.numel()
        return hidden_offset


ALONE: Final = Team()


@contextmanager
def joined() -> Iterator[Team]:
    """The team of this process, which is dissolved at the end.

    Raises
    ------
    EngineError : the processes cannot reach each other, or one of them is gone
    """
    torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    team = Team(torch.distributed.get_rank(), torch.distributed.get_world_size())
    try:
        yield team
    except RuntimeError as error:
        if isinstance(error, RbmscapeError):
            raise
        reason = (str(error).splitlines() or ["no reason given"])[0]
        raise EngineError(
            f"process {team.rank} of {team.size} lost the others ({reason}); the last saved state is whole, start the "
            "same command again with resume=True (--resume)"
        ) from error
    finally:
        torch.distributed.destroy_process_group()


def check_shares(config: TrainingConfig, n_train: int, size: int) -> None:
    """Refuse what cannot be shared out.

    Raises
    ------
    ConfigError : a method that needs all chains in one process, or numbers that do not divide
    """
    if config.method == "ptt":
        raise ConfigError(
            f"method 'ptt' trains in one process, found {size}; start it without torchrun, or take method='pcd'"
        )
    batch_size = min(config.batch_size, n_train)
    n_chains = batch_size if config.method == "cd" else config.n_chains
    for name, count in (("batch_size", batch_size), ("n_chains", n_chains)):
        if count % size:
            raise ConfigError(
                f"{name} {count} cannot be shared out over {size} processes; take a multiple of {size}, or another "
                "number of processes"
            )


class Led(Protocol):
    """What a team trains, a part in each process; see `rbmscape.training.trainer.Trainer`."""

    @property
    def chains(self) -> Tensor:
        """Of all processes, which must ask for them together."""

    def step(self) -> None:
        """One parameter update, of all processes together."""

    def restore(self, tensors: dict[str, Tensor], update: int) -> None:
        """Go on from a state."""


def follow(trainer: Led, team: Team) -> None:
    """Do what the first process does, until it stops."""
    while (command := team.hear()) != STOP:
        if command == STEP:
            try:
                trainer.step()
            except DivergenceError:
                continue  # the first process says so
        elif command == CHAINS:
            _ = trainer.chains
        elif command == RESTORE:
            tensors, update = team.share(None)
            trainer.restore(tensors, update)
