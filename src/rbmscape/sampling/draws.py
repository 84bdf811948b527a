"""Draws of many chains: what correlations in time and errors over chains are computed from.

Shapes: v is (n_chains, n_draws, N), h is (n_chains, n_draws, M), uint8 entries 0 or 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rbmscape.brief import OneLine
from rbmscape.checks import check_count
from rbmscape.errors import ShapeError
from rbmscape.kernels.interface import Engine
from rbmscape.memory import check_memory
from rbmscape.model.arrays import Arrays
from rbmscape.model.rbm import RBM
from rbmscape.progress import Progress, reporting
from rbmscape.rng import Stream
from rbmscape.sampling import gibbs

__all__ = ["Draws", "drawn_hidden", "gibbs_draws"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Draws(OneLine):
    """Joint states of chains.

    Attributes
    ----------
    v, h : (n_chains, n_draws, N) and (n_chains, n_draws, M) uint8; draws of one chain are not independent
    """

    v: torch.Tensor
    h: torch.Tensor


def drawn_hidden(rbm: RBM, v: torch.Tensor, stream: Stream) -> torch.Tensor:
    """(n, M) uint8 drawn from p(h | v), with the numbers of the child stream ``hidden``."""
    uniform = stream.child("hidden").uniform(0, v.shape[0], rbm.n_hidden, 0, rbm.device)
    return (uniform < rbm.hidden_probability(v)).to(torch.uint8)


def gibbs_draws(
    rbm: RBM,
    *,
    n_chains: int = 200,
    burn_in: int = 500,
    n_draws: int = 20,
    thin: int = 10,
    start: Arrays | None = None,
    beta: float = 1.0,
    seed: int = 0,
    engine: str | Engine = "auto",
    precision: str = "auto",
    progress: Progress = False,
) -> Draws:
    """Joint states of independent Gibbs chains at several times.

    Parameters
    ----------
    n_chains, burn_in, n_draws, thin : chains, steps before the first draw, draws a chain, steps between draws
    start : (n, N) states, from which chains start in turn; None starts from fair bits
    seed : of the chains
    engine, precision : see `rbmscape.kernels.select.select_engine`
    progress : show a bar, or a reporter that counts Gibbs steps of chains

    Returns
    -------
    Draws; equilibrium ones if burn_in suffices, which `rbmscape.sampling.diagnostics.r_hat` helps to judge

    Raises
    ------
    InputError : fewer than one chain or draw
    ShapeError : start states that do not fit
    EngineError : engine or precision is not available on this machine
    """
    n_chains, n_draws = check_count("n_chains", n_chains), check_count("n_draws", n_draws)
    thin, burn_in = check_count("thin", thin), check_count("burn_in", burn_in, 0)
    needed = n_chains * n_draws * (rbm.n_visible + rbm.n_hidden)
    check_memory(needed, f"{n_draws} draws of {n_chains} chains", "take fewer chains or draws")
    stream = Stream(seed, "symmetry/draws")
    sampler = gibbs.make_sampler(rbm, n_chains, stream, beta, engine, precision)
    chains = gibbs.init(_start(rbm, start, n_chains, stream))
    visible, hidden = [], []
    with reporting(progress, "Gibbs steps", n_chains * (burn_in + n_draws * thin)) as advance:
        if burn_in:
            chains, _ = gibbs.step(sampler, chains, burn_in)
            advance(n_chains * burn_in)
        for _ in range(n_draws):
            # The hidden state of the last half-step and the v drawn from it are a joint sample.
            chains, info = gibbs.step(sampler, chains, thin)
            visible.append(chains.v.clone())
            hidden.append(info.h.clone())
            advance(n_chains * thin)
    return Draws(torch.stack(visible, 1), torch.stack(hidden, 1))


def _start(rbm: RBM, start: Arrays | None, n_chains: int, stream: Stream) -> torch.Tensor:
    if start is None:
        return gibbs.random_start(n_chains, rbm.n_visible, stream, device=rbm.device)
    states = rbm.as_visible(start)
    if states.ndim != 2 or states.shape[0] < 1:
        raise ShapeError(f"start states must be (n, {rbm.n_visible}), found {tuple(states.shape)}")
    return states[torch.arange(n_chains, device=rbm.device) % states.shape[0]].to(torch.uint8)
