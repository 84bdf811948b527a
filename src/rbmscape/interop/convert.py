"""`read_model` and `write_model`: models of other tools in and out."""

from __future__ import annotations

import os
from pathlib import Path

from rbmscape.arguments import checked
from rbmscape.data.dataset import Dataset
from rbmscape.errors import InputError, NoChainsError, RunExistsError
from rbmscape.files import write_bytes
from rbmscape.interop.files import FORMATS, Saved, format_of, read_saved
from rbmscape.interop.imported import History, as_run
from rbmscape.interop.objects import model_of_object
from rbmscape.model.rbm import RBM
from rbmscape.progress import Progress
from rbmscape.runs.run import Run

__all__ = ["read_model", "write_model"]


@checked
def read_model(
    source: str | os.PathLike[str] | object,
    *,
    update: int | None = None,
    states: str = "bits",
    transpose: bool | None = None,
    dataset: Dataset | None = None,
    directory: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: Progress = False,
) -> RBM | Run:
    """Read a model that another tool made; nothing that a file holds is executed.

    Files: HDF5 of rbms (a training with all its updates), of RestrictedBoltzmannMachines.jl (plain, centred and
    standardised models of binary or spin units) and of Julia's JLD; .npz; .safetensors; state dicts of PyTorch.
    Objects: scikit-learn's ``BernoulliRBM``, models of rbms and learnergy, PyTorch modules, mappings of arrays.

    Parameters
    ----------
    source : path of a file, a run's directory, or an object
    update : of a training: this update alone, -1 for the last, as a model
    states : "bits", or "spins" where the parameters are those of units -1 and 1; then the returned model is that of
        the bits (1 + s)/2, exactly
    transpose : whether the weights have one row a hidden unit; by default told from the lengths of the biases
    dataset : of a training: what it was trained on, so that evaluation and analysis find it
    directory : of a training: where the run is kept; by default a temporary one that vanishes with the returned run
    overwrite : replace a run that is in ``directory``
    progress : show a bar, or a reporter that counts the checkpoints of a training as they are written

    Returns
    -------
    A run where the source is a training and no update was asked for, else a model

    Raises
    ------
    DiskError : no such file, or it cannot be read
    FormatError : a format that is not known, a damaged file, units that are not binary, axes that cannot be told
    ShapeError : weights and biases that do not fit
    RunExistsError : ``directory`` holds a run and overwrite was not asked for

    Examples
    --------
    >>> import numpy as np
    >>> rbm = read_model({"W": np.zeros((4, 3)), "vbias": np.zeros(4), "hbias": np.zeros(3)})
    >>> rbm.n_visible, rbm.n_hidden
    (4, 3)
    """
    if isinstance(source, RBM):
        return source
    if isinstance(source, Run):
        return source if update is None else source.load(update)
    if not isinstance(source, str | os.PathLike):
        return model_of_object(source, transpose=transpose, states=states)
    path = Path(source)
    if (path / "config.json").is_file():
        return read_model(Run.open(path), update=update)
    found = read_saved(path, update, transpose=transpose, states=states)
    if isinstance(found, History):
        if update is not None:
            return next(iter(found.models.values()))
        return as_run(found, str(path), dataset, directory, overwrite=overwrite, progress=progress)
    if directory is not None:
        raise InputError(f"{path} is a single model, and only trainings become runs; leave directory out")
    return found


@checked
def write_model(
    model: RBM | Run | object,
    path: str | os.PathLike[str],
    format: str | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Write a model for another tool, atomically.

    Parameters
    ----------
    model : a model, a run, or anything that `read_model` takes
    path : the file
    format : "rbmscape" (.safetensors), "rbms" (.h5; of a run all checkpoints and the chains), "julia" (HDF5 of
        RestrictedBoltzmannMachines.jl), "npz", or "pytorch" (.pt); by default told from the ending
    overwrite : replace a file that is there

    Raises
    ------
    InputError : a format that is not known
    RunExistsError : the file is there and overwrite was not asked for
    DiskError : the file cannot be written
    """
    target = Path(path)
    _, content = FORMATS[format_of(target, format)]
    if target.exists() and not overwrite:
        raise RunExistsError(f"{target} exists already; choose another name or pass overwrite=True (--overwrite)")
    write_bytes(target, content(_saved(read_model(model))))


def _saved(model: RBM | Run) -> Saved:
    if isinstance(model, RBM):
        return Saved({0: model}, {}, None)
    models = {update: model.load(update) for update in model.updates}
    if not models:
        raise InputError(f"{model.directory} has no checkpoint yet; train it first")
    try:
        chains = model.chains
    except NoChainsError:
        chains = None
    return Saved(models, model.config.model_dump(), chains)
