"""A trained (or half-trained) run as its readers see it."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from rbmscape.arguments import checked
from rbmscape.cards import card, curve
from rbmscape.checks import in_short, is_whole
from rbmscape.errors import (
    DamagedError,
    DamagedFileWarning,
    DataError,
    InputError,
    NoChainsError,
    NotAModelError,
    RbmscapeError,
    RunNotFoundError,
)
from rbmscape.files import read_tensors
from rbmscape.model.rbm import PARAMETER_NAMES, RBM
from rbmscape.runs.check import missing_parts
from rbmscape.runs.choice import best_update, has_stopped
from rbmscape.runs.config import recorded_config
from rbmscape.runs.journal import parse_metrics
from rbmscape.runs.ladder import kept_ladder
from rbmscape.runs.layout import (
    CHECKPOINT_FORMAT,
    RunLayout,
    check_origin,
    check_schema,
    read_json,
)
from rbmscape.runs.record import read_run_record
from rbmscape.runs.temporary import Keeper
from rbmscape.runs.writer import latest_state

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from rbmscape.data.dataset import Dataset
    from rbmscape.sampling.kept import KeptLadder

__all__ = ["Run"]


_CURVES: Final = ("log_likelihood", "pseudo_log_likelihood")
"""Metrics that a notebook shows, best first."""


class Run:
    """One run's directory, opened for reading; files are read when they are asked for.

    A run that was trained without a directory lies in a temporary one, which vanishes with the last copy of this object
    in the process that trained it; once it was sent to another process it stays.

    Parameters
    ----------
    directory : the run's directory
    keeper : what removes a temporary directory

    Attributes
    ----------
    directory : where the run lies
    config : the recipe, a `TrainingConfig`
    data : what is recorded of the data set: name, fingerprint, origin (the call that reloads it),
        n_visible, n_train, n_test, image_shape
    engine, precision : what the sampling ran on
    updates_per_epoch : parameter updates in one pass over the data
    """

    def __init__(self, directory: str | os.PathLike[str], keeper: Keeper | None = None) -> None:
        self._keeper = keeper
        self._layout = RunLayout(Path(directory))
        self._layout.require()
        record = read_run_record(self._layout.config)
        self.directory = self._layout.directory
        try:
            self.config = recorded_config(record["config"])
            self.data: dict[str, Any] = dict(record["data"])
            self.engine = str(record["engine"])
            self.precision = str(record["precision"])
            self.updates_per_epoch = int(record["updates_per_epoch"])
            self.versions: dict[str, str] = dict(record.get("versions", {}))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DamagedError(
                f"{self._layout.config} is no whole record of a run ({in_short(error)}); restore it from a copy"
            ) from error
        self._run_id: str | None = record.get("run_id")
        for finding in missing_parts(self._layout):
            warnings.warn(finding.words, DamagedFileWarning, stacklevel=3)

    @classmethod
    @checked
    def open(cls, directory: str | os.PathLike[str]) -> Run:
        """Open a run's directory.

        Raises
        ------
        RunNotFoundError : the directory holds no run
        FormatError : its files are damaged or written by a newer release
        """
        return cls(directory)

    if not TYPE_CHECKING:  # type checkers find the mistake themselves

        def __getattr__(self, name: str) -> Any:
            """Explain what is asked of a run that was passed where a model is wanted."""
            if hasattr(RBM, name):
                raise NotAModelError(
                    f"{name} is a model's, found a run; pass run.load(), or run.load(update) for one of its checkpoints"
                )
            raise AttributeError(f"a Run has no attribute {name!r}")

    def __repr__(self) -> str:
        config, shape = self.config, f"{self.data['n_visible']} x {self.config.n_hidden}"
        updates = self._layout.updates()
        reached = f"epoch {updates[-1] / self.updates_per_epoch:g} of {config.epochs}" if updates else "no checkpoint"
        method = f"{config.method}-{config.gibbs_steps}, {config.optimizer} {config.learning_rate:g}"
        return f"Run({str(self.directory)!r}: {self.data['name']}, {shape}, {method}, {reached})"

    def _repr_html_(self) -> str:
        """For notebooks: the curve of the likelihood, or of the pseudo-likelihood, and what speaks against the run."""
        try:
            rows = self.rows
        except RbmscapeError as error:
            return card("Run", {"": str(error)})
        last = rows[-1] if rows else {}
        name = next((one for one in _CURVES if last.get(one) is not None), _CURVES[-1])
        points = [(row["epoch"], row[name]) for row in rows if row.get(name) is not None]
        x, y = zip(*points, strict=True) if points else ((), ())
        facts = {"": repr(self), "objection": str(last.get("objection") or "")}
        return card("Run", facts, curve(x, y, f"{name.replace('_', ' ')} against epochs"))

    def __copy__(self) -> Run:
        return Run(self._layout.root, self._keeper)

    def __deepcopy__(self, _memo: dict[int, Any]) -> Run:
        return copy.copy(self)

    def __reduce__(self) -> tuple[type[Run], tuple[Path]]:
        if self._keeper is not None:
            self._keeper.release()
        return Run, (self._layout.root,)

    def _require(self) -> None:
        """Refuse to read what is gone, instead of reporting an empty run."""
        if not self._layout.config.is_file():
            raise RunNotFoundError(
                f"the run in {self.directory} is gone since it was opened; pass directory= to train to keep a run "
                "for longer than the object that train returns"
            )

    @property
    def updates(self) -> tuple[int, ...]:
        """Updates that have a checkpoint, ascending."""
        self._require()
        return self._layout.updates()

    @property
    def epochs(self) -> tuple[float, ...]:
        """Epochs (passes over the data) of the checkpoints, one an entry of `updates`."""
        return tuple(update / self.updates_per_epoch for update in self.updates)

    @property
    def last_update(self) -> int:
        """Update of the last checkpoint; -1 before the first."""
        return self.updates[-1] if self.updates else -1

    @property
    def is_complete(self) -> bool:
        """Whether training reached its last epoch, or its recipe's patience ended it."""
        at_end = self.last_update >= self.config.epochs * self.updates_per_epoch
        return at_end or (self.config.patience > 0 and has_stopped(self.rows, self.config.patience))

    def best(self) -> int:
        """Update of the checkpoint whose likelihood of held-out data is the highest, the earliest within its error.

        The likelihood is the one in `metrics`, of training data where the run had no others, and the error is that of
        ln Z.  Checkpoints whose likelihood is not converged are left out.

        Raises
        ------
        InputError : no checkpoint has a likelihood (train with ``method="ptt"`` or ``online_likelihood=True``), or
            none that is converged
        """
        return best_update(self.rows, str(self.directory))

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Metrics as dictionaries, one a checkpoint."""
        self._require()
        return parse_metrics(self._layout.metrics)

    @property
    def metrics(self) -> pd.DataFrame:
        """Metrics as a table, one row a checkpoint, indexed by update."""
        import pandas as pd

        rows = self.rows
        return pd.DataFrame(rows).set_index("update") if rows else pd.DataFrame()

    @property
    def audit(self) -> dict[str, Any] | None:
        """What ``rbmscape train`` found for and against the finished training, or None where nobody looked."""
        self._require()
        return read_json(self._layout.audit) if self._layout.audit.is_file() else None

    @checked
    def load(self, update: int | Literal["best"] = -1, averaged: bool = True) -> RBM:
        """The model of one checkpoint.

        Parameters
        ----------
        update : one of `updates`, -1 for the last, or "best" for that of `best`
        averaged : the averaged parameters where the recipe averages, else (or with False) the last ones

        Raises
        ------
        InputError : there is no such checkpoint, or no best one
        FormatError : its file is damaged or was written by a newer release
        """
        try:
            return self._load(self._resolve(update), averaged)
        except DamagedError as error:
            earlier = self.updates[:-1]
            if update != -1 or not earlier:
                raise
            words = f"{error}; the model of update {earlier[-1]}, the one before, is taken in its place"
            warnings.warn(words, DamagedFileWarning, stacklevel=2)
            return self._load(earlier[-1], averaged)

    def _load(self, update: int, averaged: bool) -> RBM:
        path = self._layout.checkpoint(update)
        tensors, metadata = read_tensors(path)
        check_schema(metadata, CHECKPOINT_FORMAT, path)
        check_origin(metadata, self._run_id, path, update)
        prefix = "" if averaged or "raw_weights" not in tensors else "raw_"
        if missing := [name for name in PARAMETER_NAMES if prefix + name not in tensors]:
            raise DamagedError(f"{path} has no {prefix}{missing[0]}; copy the run again")
        return RBM(*(tensors[prefix + name] for name in PARAMETER_NAMES), columns=self.data.get("columns"))

    def _resolve(self, update: int | Literal["best"]) -> int:
        updates = self.updates
        if not updates:
            raise InputError(f"{self.directory} has no checkpoint yet; train it first")
        if update == "best":
            update = self.best()
        if update == -1:
            return updates[-1]
        if not is_whole(update):
            raise InputError(f"update must be a whole number, found {update!r}; pass one of run.updates, or -1")
        if update not in updates:
            near = min(updates, key=lambda known: abs(known - update))
            raise InputError(f"{self.directory} has no checkpoint at update {update}; the nearest is {near}")
        return update

    def dataset(self) -> Dataset:
        """The data that the run was trained on, loaded again as they were then.

        Raises
        ------
        DataError : the run does not know where they came from, or they have changed since
        """
        from rbmscape.data.load import load_dataset

        origin: dict[str, Any] | None = self.data.get("origin")
        if origin is None:
            raise DataError(
                f"{self.directory} was trained on data in memory ({self.data['name']!r}), which are not kept; "
                "pass them, or name a file with --data"
            )
        found = load_dataset(origin["source"], **origin["options"])
        if found.fingerprint != self.data["fingerprint"]:
            raise DataError(
                f"{origin['source']} has changed since {self.directory} was trained on it; "
                "restore it, or pass the data (--data)"
            )
        return found

    @checked
    def models(self, updates: Sequence[int] | None = None, averaged: bool = True) -> Iterator[RBM]:
        """Models of the given checkpoints (all by default), in order of training."""
        for update in self.updates if updates is None else updates:
            yield self.load(update, averaged)

    @checked
    def path(self, update: int | Literal["best"] = -1) -> KeptLadder | list[RBM]:
        """What leads from independent units to the model of a checkpoint, for those who sample or measure it.

        It is the ladder of the training (method "ptt") where it was kept with this checkpoint, which the last one's is;
        else the models of the checkpoints up to this one.

        Raises
        ------
        InputError : there is no such checkpoint
        FormatError : a file is damaged, belongs to another run or does not fit the model
        """
        last, model = self._resolve(update), self.load(update)
        found = kept_ladder(self._layout, self._run_id, last, model) if self.config.method == "ptt" else None
        return found or list(self.models([known for known in self.updates if known <= last]))

    @property
    def chains(self) -> Tensor:
        """Visible states of the Markov chains where training stands, (n_chains, N) uint8.

        Raises
        ------
        NoChainsError : the recipe keeps no chains (method "cd" or "rdm"), or training has not begun
        """
        self._require()
        found = latest_state(self._layout, self._run_id) if self.config.method in ("pcd", "ptt") else None
        if found is None:
            raise NoChainsError(
                f"{self.directory} keeps no Markov chains (method {self.config.method!r}); "
                f"draw samples with rbmscape.sample instead"
            )
        return found[0]["chains"]
