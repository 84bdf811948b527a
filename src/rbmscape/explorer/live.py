"""Something alive at once: a small model of MNIST that is trained while it is looked at."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from rbmscape.errors import RbmscapeError
from rbmscape.explorer.catalogue import Catalogue
from rbmscape.explorer.drawing import StoppedError, Stopper
from rbmscape.runs.run import Run

if TYPE_CHECKING:
    from rbmscape.model.rbm import RBM
    from rbmscape.runs.config import TrainingConfig

__all__ = ["live_catalogue", "live_recipe"]

N_TRAIN = 10_000
N_TEST = 1_000


def live_recipe() -> TrainingConfig:
    """A small model with many early checkpoints: what happens, happens in the first hundred updates."""
    from rbmscape.runs.config import TrainingConfig

    return TrainingConfig(
        n_hidden=64,
        epochs=30,
        batch_size=250,
        n_chains=250,
        gibbs_steps=5,
        averaging=0,
        early_checkpoints=16,
        online_likelihood=True,
    )


def live_catalogue(directory: Path) -> Catalogue:
    """Train in the background, into a directory that the caller removes; the run appears when it has begun.

    Parameters
    ----------
    directory : an empty one
    """
    problems: list[str] = []
    ended = threading.Event()

    def work() -> None:
        from rbmscape.data.load import load_dataset
        from rbmscape.training.train import train

        try:
            data = load_dataset("mnist", n_train=N_TRAIN, n_test=N_TEST)
            train(data, live_recipe(), directory / "live", progress=Stopper(lambda: not ended.is_set()))
        except StoppedError:
            return
        except (RbmscapeError, OSError) as error:
            problems.append(str(error))

    training = threading.Thread(target=work, name="explorer training", daemon=True)
    training.start()
    found: dict[str, Run | RBM] = {}

    def find() -> dict[str, Run | RBM]:
        if problems:
            raise RbmscapeError(f"the training stopped: {problems[0]}")
        if not found and (directory / "live" / "config.json").is_file():
            found["live"] = Run.open(directory / "live")
        return found

    catalogue = Catalogue("MNIST, trained now", find, ended=ended)
    catalogue.threads.append(training)
    return catalogue
