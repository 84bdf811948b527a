"""`train_many`: many runs from one data set, at once where the hardware makes that pay."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rbmscape.arguments import checked
from rbmscape.checks import check_count
from rbmscape.data.dataset import Dataset
from rbmscape.errors import DivergenceError, InputError
from rbmscape.kernels.interface import Engine
from rbmscape.progress import Progress
from rbmscape.runs.config import TrainingConfig
from rbmscape.runs.run import Run
from rbmscape.training.batch import can_batch, models_that_fit, shared_choices
from rbmscape.training.callbacks import Callback, Watch, callbacks_of_many
from rbmscape.training.counted import is_plain
from rbmscape.training.display import make_reporter
from rbmscape.training.together import may_join, train_together
from rbmscape.training.train import check_kinds, engine_for, train

__all__ = ["train_many"]


@checked
def train_many(
    dataset: Dataset,
    configs: Sequence[TrainingConfig],
    directories: Sequence[str | os.PathLike[str]],
    *,
    resume: bool = False,
    overwrite: bool = False,
    until_update: int | None = None,
    callbacks: Sequence[Sequence[Callback]] = (),
    progress: Progress = True,
) -> list[Run]:
    """Train several RBMs on the same data, each into its own directory and as `rbmscape.train` does it alone.

    On a GPU those whose recipes differ in the seed, the step size and its schedule, the initial values or the
    checkpoints only train as one batch, as many at once as its memory holds: each gives bit for bit what it gives alone
    there.  What cannot share its launches trains one run after the other, with the same bits: method "ptt", of which
    each run freezes rungs at times of its own, so that after a few updates no two ladders have the same length; recipes
    with patience, which end at times of their own; weighted rows and rows with gaps; and everything on a processor.
    There a batch of four could save at most a tenth of the updates' time with 784 and 500 units, and two thirds with 30
    and 10, whose updates take 0.3 ms; the workers of a study (`rbmscape.run_study`) train such runs side by side.
    The display says which run trains, or how many at once.

    Parameters
    ----------
    dataset : binary samples, from `load_dataset` or `Dataset.from_array`
    configs : a recipe for each run
    directories : where the runs are kept, one for each recipe
    resume : continue the runs that are in their directories, bit for bit as if they had never stopped
    overwrite : replace runs that are in their directories
    until_update : stop (resumably) after this many updates of each run in all
    callbacks : a list for each run, in the order of the recipes, told of its checkpoints as those of `rbmscape.train`
    progress : show a live display, or a `rbmscape.progress.Reporter` of one's own, which gets a `TrainingStatus`

    Returns
    -------
    The runs, in the order of the recipes

    Raises
    ------
    InputError : numbers of recipes and directories differ, or two directories are the same
    RunExistsError, RunLockedError, ConfigError : as from `rbmscape.train`
    EngineError : the GPU has too little memory for one model, or failed
    DivergenceError : parameters of a run left the finite numbers; raised when all others are trained
    CallbackError : a callback failed; everything is saved, and runs that wait for their turn are not begun
    KeyboardInterrupt : Ctrl-C or SIGTERM; everything is saved
    """
    _check(dataset, configs, directories)
    if resume and overwrite:
        raise InputError("resume=True continues runs and overwrite=True replaces them, found both; choose one")
    last = None if until_update is None else check_count("until_update", until_update, 0)
    watching, diverged = callbacks_of_many(callbacks, len(configs)), list[DivergenceError]()
    for engine, places in _batches(dataset, configs, directories, resume):
        try:
            if engine is None:
                for place in places:
                    train(
                        dataset,
                        configs[place],
                        directories[place],
                        resume=resume,
                        overwrite=overwrite,
                        until_update=last,
                        callbacks=watching[place],
                        progress=make_reporter(progress, f"run {place + 1} of {len(configs)}: {directories[place]}"),
                    )
            else:
                own = [configs[place] for place in places], [directories[place] for place in places]
                reporter = make_reporter(progress, f"{len(places)} of {len(configs)} runs at once")
                watches = [Watch(watching[place], directories[place]) for place in places]
                train_together(dataset, *own, engine, reporter, last, watches, resume=resume, overwrite=overwrite)
        except DivergenceError as error:
            diverged.append(error)
    if diverged:
        raise diverged[0]
    return [Run.open(directory) for directory in directories]


def _check(dataset: Dataset, configs: Sequence[TrainingConfig], directories: Sequence[str | os.PathLike[str]]) -> None:
    if len(configs) != len(directories):
        raise InputError(
            f"train_many needs a directory for each recipe, found {len(configs)} recipes and {len(directories)} "
            "directories; give as many of both"
        )
    for config in configs:
        check_kinds(dataset, config)
    resolved = [Path(directory).resolve() for directory in directories]
    twice = [place for place in resolved if resolved.count(place) > 1]
    if twice:
        raise InputError(f"two runs cannot share the directory {twice[0]}; give each its own")


def _batches(
    dataset: Dataset,
    configs: Sequence[TrainingConfig],
    directories: Sequence[str | os.PathLike[str]],
    resume: bool,
) -> list[tuple[Engine | None, list[int]]]:
    """Places of the runs that train as one batch and the engine for it, or None for those that train by themselves."""
    groups: dict[str, list[int]] = {}
    for place, config in enumerate(configs):
        groups.setdefault(shared_choices(config), []).append(place)
    found: list[tuple[Engine | None, list[int]]] = []
    for places in groups.values():
        config = configs[places[0]]
        engine = engine_for(config, dataset, len(places))
        together = [
            place
            for place in places
            if is_plain(dataset) and can_batch(config, engine) and may_join(directories[place], resume)
        ]
        found += [(None, [place]) for place in places if place not in together]
        most = max(1, models_that_fit(dataset, config, engine) or len(together)) if together else 1
        found += [(engine, together[first : first + most]) for first in range(0, len(together), most)]
    return found
