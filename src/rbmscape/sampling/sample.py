"""Samples of a trained or untrained model: the public entry to all samplers (arXiv:2503.21536, section 2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from rbmscape.checks import check_count
from rbmscape.errors import InputError, ShapeError
from rbmscape.kernels.floats.annealing import annealer_for
from rbmscape.kernels.select import select_engine
from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream
from rbmscape.sampling import gibbs
from rbmscape.sampling.ladder import choose_ladder, ladder_models, shortest_ladder
from rbmscape.sampling.tempered import Tempered
from rbmscape.sampling.tempering import temper

if TYPE_CHECKING:
    from rbmscape.data.dataset import Dataset

__all__ = ["METHODS", "Samples", "drawn_hidden", "sample"]

METHODS = ("gibbs", "trajectory", "tempering")
CHUNK = 2048  # chains advanced together: bounds memory and keeps the buffers near the processor
_REPORTS = 50  # progress reports a chunk


@dataclass(frozen=True, slots=True)
class Samples:
    """States drawn from a model.

    Attributes
    ----------
    v : (n_chains, N) uint8
    h : (n_chains, M) uint8, drawn from p(h | v), so that (v, h) is a draw from the joint distribution if v is from its
        marginal
    seed, n_steps, beta, method, engine, precision : how they were made
    tempered : acceptance, passages, ESS, R-hat and `objections` of replica exchange; None for ``gibbs``
    """

    v: Tensor
    h: Tensor
    seed: int
    n_steps: int
    beta: float
    method: str
    engine: str
    precision: str
    tempered: Tempered | None = field(default=None, repr=False)


def sample(
    rbm: RBM,
    n_chains: int = 100,
    n_steps: int = 1000,
    seed: int = 0,
    start: str | Dataset | Tensor | Any | None = None,
    beta: float = 1.0,
    engine: str = "auto",
    precision: str = "auto",
    progress: bool = False,
    method: str = "gibbs",
    models: Sequence[RBM] | None = None,
) -> Samples:
    """Run independent chains and return their last states.

    Parameters
    ----------
    rbm : the model
    n_chains : how many chains
    n_steps : full Gibbs steps (h given v, v given h) of each chain; 0 returns the start states with a fresh h
    seed : key of all random numbers, in [0, 2**64); results do not depend on threads or on how chains are batched
    start : None or ``"random"``: fair bits; a `Dataset`: randomly chosen training rows; an array (n_chains, N) or (N,)
        of zeros and ones
    beta : inverse temperature, >= 0
    engine, precision : see `rbmscape.kernels.select.select_engine`
    progress : show a progress bar
    method : ``"gibbs"``; ``"trajectory"``: replica exchange with earlier models of the training, which crosses between
        modes where Gibbs chains do not; ``"tempering"``: replica exchange in temperature.  With the last two n_steps
        counts rounds (one Gibbs step on each rung and one exchange), and beta and start keep their defaults
    models : for ``"trajectory"``: the checkpoints of the training, first to last

    Returns
    -------
    `Samples`; the chains are as close to equilibrium as n_steps brings them, which `rbmscape.sampling.diagnostics`
    helps to judge

    Raises
    ------
    InputError : a number out of range, or an unknown method or start
    ShapeError, DataError : start states that do not fit or are not binary
    EngineError : engine or precision is not available on this machine
    """
    n_chains, n_steps = check_count("n_chains", n_chains), check_count("n_steps", n_steps, 0)
    _check_arguments(n_steps, beta, method)
    stream = Stream(seed, "sample")
    if method != "gibbs" or models is not None:
        _check_tempering(method, models, start, beta)
        return _tempered(rbm, n_chains, n_steps, stream, method, models, (engine, precision), progress)
    states = _start_states(start, rbm, n_chains, stream)
    visible = torch.empty(n_chains, rbm.n_visible, dtype=torch.uint8, device=rbm.device)
    hidden = torch.empty(n_chains, rbm.n_hidden, dtype=torch.uint8, device=rbm.device)
    sampler = gibbs.make_sampler(rbm, min(n_chains, CHUNK), stream, beta, engine, precision)
    with _progress_bar(progress, n_chains * n_steps) as report:
        for first in range(0, n_chains, CHUNK):
            last = min(first + CHUNK, n_chains)
            if last - first != sampler.workspace.v.shape[0]:
                sampler = gibbs.make_sampler(rbm, last - first, stream, beta, engine, precision)
            chains = gibbs.init(states(first, last), first)
            for steps in _portions(n_steps):
                chains, _info = gibbs.step(sampler, chains, steps)
                report(steps * (last - first))
            visible[first:last] = chains.v
            hidden[first:last] = gibbs.final_hidden(sampler, chains)
    name, used = sampler.engine.name, sampler.engine.precision
    return Samples(visible, hidden, seed, n_steps, beta, method, name, used)


def _check_arguments(n_steps: int, beta: float, method: str) -> None:
    if n_steps >= 2**31:
        raise InputError(f"n_steps must be below 2**31, found {n_steps}; pass a number of Gibbs steps")
    if not math.isfinite(beta) or beta < 0:
        raise InputError(f"beta must be finite and not negative, found {beta}; pass 1.0 for the model itself")
    if method not in METHODS:
        raise InputError(f"method must be one of {', '.join(METHODS)}, found {method!r}; pass method='gibbs'")


def _check_tempering(method: str, models: Sequence[RBM] | None, start: Any, beta: float) -> None:
    if (method == "trajectory") is (models is None):
        raise InputError(
            f"method 'trajectory' and models go together, found method={method!r} and "
            f"{'no models' if models is None else 'models'}; pass the checkpoints of a run, as list(run.models())"
        )
    if method == "trajectory" and models is not None and len(models) < 2:
        raise InputError(
            f"tempering along a training needs at least two checkpoints, found {len(models)}; use method='tempering'"
        )
    if start is not None or beta != 1.0:
        raise InputError(
            f"method {method!r} starts from its lowest rung and ends at beta = 1; leave start and beta out"
        )


def _tempered(
    rbm: RBM,
    n_chains: int,
    n_steps: int,
    stream: Stream,
    method: str,
    models: Sequence[RBM] | None,
    engine_precision: tuple[str, str],
    progress: bool,
) -> Samples:
    """Top states of replica exchange, with h drawn from p(h | v)."""
    engine = select_engine(*engine_precision, rbm.device)
    annealer = annealer_for(engine)
    choose = choose_ladder if models is None else shortest_ladder
    ladder = choose(ladder_models(rbm, models), stream.child("ladder"), annealer)
    with _progress_bar(progress, n_chains * n_steps * len(ladder.models)) as report:
        result = temper(ladder, n_chains, n_steps, stream.child(method), annealer, progress=report)
    h = drawn_hidden(rbm, result.v, stream)
    return Samples(result.v, h, stream.seed, n_steps, 1.0, method, engine.name, annealer.name, result)


def drawn_hidden(rbm: RBM, v: Tensor, stream: Stream) -> Tensor:
    """(n, M) uint8 drawn from p(h | v), with the numbers of the child stream ``hidden``."""
    uniform = stream.child("hidden").uniform(0, v.shape[0], rbm.n_hidden, 0, rbm.device)
    return (uniform < rbm.hidden_probability(v)).to(torch.uint8)


def _start_states(start: Any, rbm: RBM, n_chains: int, stream: Stream) -> Callable[[int, int], Tensor]:
    """A function that gives the start states of chains first .. last - 1."""
    if start is None or (isinstance(start, str) and start == "random"):
        return lambda first, last: gibbs.random_start(last - first, rbm.n_visible, stream, first, rbm.device)
    if isinstance(start, str):
        raise InputError(f"start must be None, 'random', a Dataset or an array of states, found {start!r}")
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
    from rbmscape.data.validate import as_binary, plain_array

    array = plain_array(start, "start")
    if array.ndim == 1:
        array = np.broadcast_to(array, (n_chains, array.shape[0]))
    return as_binary(array, where="start").values


def _portions(n_steps: int) -> Iterator[int]:
    """n_steps cut into at most about `_REPORTS` pieces, between which progress is shown and Ctrl-C is heard."""
    size = max(1, -(-n_steps // _REPORTS))
    for done in range(0, n_steps, size):
        yield min(size, n_steps - done)


@contextmanager
def _progress_bar(shown: bool, total: int) -> Iterator[Callable[[int], None]]:
    """A Rich bar that counts chain-steps, or nothing."""
    if not shown:
        yield lambda _done: None
        return
    from rich.progress import Progress

    with Progress() as bar:
        task = bar.add_task("Gibbs steps", total=total)
        yield lambda done: bar.advance(task, done)
