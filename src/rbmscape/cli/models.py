"""A run's directory or a model's file, as the commands that need a trained model take it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbmscape.errors import EngineError, InputError, RunNotFoundError

if TYPE_CHECKING:
    from rbmscape.data.dataset import Dataset
    from rbmscape.model.rbm import RBM
    from rbmscape.runs.run import Run
    from rbmscape.sampling.kept import KeptLadder

__all__ = ["OpenModel", "check_absent", "open_model", "resolve_device"]


@dataclass(frozen=True, eq=False)
class OpenModel:
    """A model, the run that it belongs to (None for a file), what to call it, and its update (-1 for a file)."""

    rbm: RBM
    run: Run | None
    name: str
    update: int

    @property
    def image_shape(self) -> tuple[int, int] | None:
        """(height, width) of the data that it was trained on, where known."""
        shape = self.run.data.get("image_shape") if self.run is not None else None
        return None if shape is None else (int(shape[0]), int(shape[1]))

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Names of the visible units, those of the columns of the data that it was trained on, where known."""
        return self.rbm.columns

    @property
    def is_of_spins(self) -> bool:
        """Whether it was trained on spins."""
        return self.run is not None and self.run.data.get("states") == "spins"

    @property
    def path(self) -> KeptLadder | list[RBM] | None:
        """What to climb along to the model, see `rbmscape.Run.path`; None for a single model or checkpoint."""
        from rbmscape.sampling.kept import KeptLadder

        if self.run is None:
            return None
        found, device = self.run.path(self.update), self.rbm.device
        if isinstance(found, KeptLadder):
            return found.to(device)
        return [model.to(device=device) for model in found] if len(found) > 1 else None

    def ordered(self, dataset: Dataset) -> Dataset:
        """The data with their columns in the order of the model's units, by name where both have names."""
        return dataset.ordered_by(self.columns)

    def shown(self, states: Any) -> Any:
        """States (..., N) as the data had them: spins -1 and 1 (int8) of a run on spins."""
        return 2 * states.astype("int8") - 1 if self.is_of_spins else states

    def as_bits(self, rows: Any) -> Any:
        """Rows (n, N) of a file, which may hold NaN, as bits; of a run on spins -1 stands for 0."""
        return (rows + 1) / 2 if self.is_of_spins else rows


def open_model(path: str, update: int = -1, device: str = "auto", *, best: bool = False) -> OpenModel:
    """Load a model and put it where it is to be used, of a run at an update or at the best one.

    Raises
    ------
    RunNotFoundError : there is nothing at that path, or a directory without a run
    InputError : a file was given together with a checkpoint, or the run has no such one
    EngineError : the device is not there
    """
    from rbmscape.model.rbm import RBM
    from rbmscape.runs.run import Run

    if best and update != -1:
        raise InputError(f"--best and --update {update} both choose a checkpoint; leave one out")
    place = Path(path)
    if not place.exists():
        raise RunNotFoundError(f"there is no run or model file {path}; give a run's directory or a .safetensors file")
    if place.is_dir():
        run = Run.open(place)
        update = run.best() if best else update
        rbm = run.load(update)
        reached = run.updates[-1] if update == -1 else update
        found = OpenModel(rbm, run, f"{path} at update {reached}", reached)
    else:
        if update != -1 or best:
            option = "--best" if best else "--update"
            raise InputError(f"{path} is a single model; {option} chooses among the checkpoints of a run's directory")
        found = OpenModel(RBM.load(place), None, path, -1)
    return OpenModel(found.rbm.to(device=resolve_device(device)), found.run, found.name, found.update)


def resolve_device(device: str) -> str:
    """The device itself, or for ``auto`` the GPU if there is one, else the processor.

    Raises
    ------
    EngineError : there is no such device
    """
    import torch

    from rbmscape.checks import in_short

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise EngineError(f"device {device!r} cannot be used ({in_short(error)}); pass --device cpu") from error
    return device


def check_absent(paths: list[Path], *, overwrite: bool) -> None:
    """Refuse to replace files unless that was asked for.

    Raises
    ------
    InputError : one of them exists
    """
    for path in paths:
        if path.exists() and (path.is_dir() or not overwrite):
            raise InputError(f"{path} exists already; choose another name or pass --overwrite")
