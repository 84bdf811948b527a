"""Samples of a trained or untrained model: the public entry to all samplers (arXiv:2503.21536, section 2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from rbmscape.arguments import checked
from rbmscape.arrays import in_order, number_array
from rbmscape.checks import check_choice, check_count, is_number
from rbmscape.errors import InputError, ShapeError
from rbmscape.kernels.interface import Engine
from rbmscape.kernels.select import select_engine
from rbmscape.memory import check_memory
from rbmscape.model.rbm import RBM
from rbmscape.model.trained import Trained, one_model
from rbmscape.progress import Progress, reporting
from rbmscape.rng import Stream
from rbmscape.sampling import gibbs
from rbmscape.sampling.draws import Draws
from rbmscape.sampling.equilibrium import equilibrium_samples
from rbmscape.sampling.samples import GIBBS, Samples
from rbmscape.sampling.verdict import EquilibriumVerdict

if TYPE_CHECKING:
    from rbmscape.data.dataset import Dataset

__all__ = ["METHODS", "Samples", "sample"]

METHODS = ("gibbs", "equilibrium")
CHUNK = 2048  # chains advanced together: bounds memory and keeps the buffers near the processor
USUAL_STEPS = 1000
_REPORTS = 50  # progress reports a chunk


@checked
def sample(
    rbm: RBM | Trained,
    n_chains: int = 100,
    n_steps: int | None = None,
    seed: int = 0,
    start: str | Dataset | Tensor | Any | None = None,
    beta: float = 1.0,
    *,
    method: str | None = None,
    engine: str | Engine = "auto",
    precision: str = "auto",
    progress: Progress = False,
) -> Samples:
    """Run independent chains and return their last states.

    Parameters
    ----------
    rbm : the model, or a run
    n_chains : how many chains
    n_steps : full Gibbs steps (h given v, v given h) of each chain, 1000 by default; 0 returns the start states with a
        fresh h
    seed : key of all random numbers, in [0, 2**64); results do not depend on threads or on how chains are batched
    start : None or ``"random"``: fair bits; a `Dataset`: randomly chosen training rows; an array (n_chains, N) or (N,)
        of zeros and ones
    beta : inverse temperature, >= 0
    method : ``"gibbs"``, the default for a model: n_steps steps of each chain; ``"equilibrium"``, the default for a
        run: replica exchange until nothing speaks against equilibrium, see `rbmscape.equilibrium_samples`, to which
        n_steps, start and beta do not belong
    engine, precision : see `rbmscape.kernels.select.select_engine`
    progress : show a bar, or a reporter that counts Gibbs steps of chains

    Returns
    -------
    `Samples`; Gibbs chains are as close to equilibrium as n_steps brings them, which `rbmscape.sampling.diagnostics`
    helps to judge

    Raises
    ------
    InputError : a number out of range, or an unknown method or start
    ShapeError, DataError : start states that do not fit or are not binary
    EngineError : engine or precision is not available on this machine
    """
    chosen_method = method if method is not None else "equilibrium" if isinstance(rbm, Trained) else "gibbs"
    n_chains = check_count("n_chains", n_chains)
    if check_choice("method", chosen_method, METHODS) == "equilibrium":
        _check_equilibrium(n_steps, start, beta)
        return equilibrium_samples(rbm, n_chains, seed, engine=engine, precision=precision, progress=progress)
    model = rbm.load() if isinstance(rbm, Trained) else one_model(rbm, "sample")
    n_steps = check_count("n_steps", USUAL_STEPS if n_steps is None else n_steps, 0)
    _check_gibbs(n_steps, beta)
    chosen = select_engine(engine, precision, model.device)
    return _gibbs(model, n_chains, n_steps, Stream(seed, "sample"), start, beta, chosen, progress)


def _gibbs(
    rbm: RBM,
    n_chains: int,
    n_steps: int,
    stream: Stream,
    start: Any,
    beta: float,
    engine: Engine,
    progress: Progress,
) -> Samples:
    """Chains advanced in chunks."""
    check_memory(n_chains * (rbm.n_visible + rbm.n_hidden), f"{n_chains} chains", "draw fewer at a time")
    states = _start_states(start, rbm, n_chains, stream)
    visible = torch.empty(n_chains, rbm.n_visible, dtype=torch.uint8, device=rbm.device)
    hidden = torch.empty(n_chains, rbm.n_hidden, dtype=torch.uint8, device=rbm.device)
    sampler = gibbs.make_sampler(rbm, min(n_chains, CHUNK), stream, beta, engine)
    with reporting(progress, "Gibbs steps", n_chains * n_steps) as advance:
        for first in range(0, n_chains, CHUNK):
            last = min(first + CHUNK, n_chains)
            if last - first != sampler.bound.v.shape[0]:
                sampler = gibbs.make_sampler(rbm, last - first, stream, beta, engine)
            chains = gibbs.init(states(first, last), first)
            for steps in _portions(n_steps):
                chains, _info = gibbs.step(sampler, chains, steps)
                advance(steps * (last - first))
            visible[first:last] = chains.v
            hidden[first:last] = gibbs.final_hidden(sampler, chains)
    how: dict[str, str | float] = {
        "samples_method": GIBBS,
        "samples_chains": n_chains,
        "samples_steps": n_steps,
        "samples_seed": stream.seed,
        "samples_beta": float(beta),
        "samples_engine": engine.name,
        "samples_precision": engine.precision,
    }
    unjudged = EquilibriumVerdict.unjudged(f"plain Gibbs chains of {n_steps} steps")
    return Samples(rbm, Draws(visible[:, None], hidden[:, None]), how, unjudged)


def _check_gibbs(n_steps: int, beta: float) -> None:
    if n_steps >= 2**31:
        raise InputError(f"n_steps must be below 2**31, found {n_steps}; pass a number of Gibbs steps")
    if not is_number(beta) or not math.isfinite(beta) or beta < 0:
        raise InputError(f"beta must be finite and not negative, found {beta!r}; pass 1.0 for the model itself")


def _check_equilibrium(n_steps: int | None, start: Any, beta: float) -> None:
    given = [name for name, is_given in (("n_steps", n_steps is not None), ("start", start is not None)) if is_given]
    if beta != 1.0:
        given.append("beta")
    if given:
        raise InputError(
            f"equilibrium samples take as many rounds as they need from a start of their own at beta = 1, found "
            f"{' and '.join(given)}; leave that out, or pass method='gibbs' for chains"
        )


def _start_states(start: Any, rbm: RBM, n_chains: int, stream: Stream) -> Callable[[int, int], Tensor]:
    """A function that gives the start states of chains first .. last - 1."""
    if start is None or (isinstance(start, str) and start == "random"):
        return lambda first, last: gibbs.random_start(last - first, rbm.n_visible, stream, first, rbm.device)
    if isinstance(start, str):
        raise InputError(f"start must be None, 'random', a Dataset or an array of states, found {start!r}")
    start = in_order(start, rbm.columns, "start")
    rows = _chosen_rows(start.train, n_chains, stream) if hasattr(start, "train") else _given_rows(start, n_chains)
    if rows.shape != (n_chains, rbm.n_visible):
        raise ShapeError(
            f"start states must be ({n_chains}, {rbm.n_visible}) for {n_chains} chains of this model, "
            f"found {tuple(rows.shape)}; pass one row of {rbm.n_visible} values a chain, or one row for all"
        )
    states = torch.from_numpy(rows).to(rbm.device)
    return lambda first, last: states[first:last]


def _chosen_rows(train: np.ndarray[Any, Any], n_chains: int, stream: Stream) -> np.ndarray[Any, Any]:
    """Training rows without repetition as long as there are enough."""
    generator = stream.child("start").numpy()
    picks = generator.choice(len(train), size=n_chains, replace=n_chains > len(train))
    return np.ascontiguousarray(train[picks], dtype=np.uint8)


def _given_rows(start: Any, n_chains: int) -> np.ndarray[Any, Any]:
    from rbmscape.data.validate import as_binary

    array = number_array(start, "start")
    if array.ndim == 1 or (array.ndim == 2 and len(array) == 1):
        array = np.broadcast_to(array, (n_chains, array.shape[-1]))
    return as_binary(array, where="start").values


def _portions(n_steps: int) -> Iterator[int]:
    """n_steps cut into at most about `_REPORTS` pieces, between which progress is shown and Ctrl-C is heard."""
    size = max(1, -(-n_steps // _REPORTS))
    for done in range(0, n_steps, size):
        yield min(size, n_steps - done)
