"""Block Gibbs chains of an RBM (arXiv:2503.21536, section 2, equations 10 and 11) with explicit state.

``init`` makes the chains, ``step`` advances them and returns the new chains together with what is thrown away, the
hidden states of the last half-step.  The chains' state is v and the number of steps made; the random numbers of step
s are draws 2s (for h) and 2s + 1 (for v) of the sampler's stream, so that chains which are stopped, split or resumed
go the same way.

Shapes: v is (n_chains, N), h is (n_chains, M), uint8 entries 0 or 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from rbmscape.brief import OneLine
from rbmscape.kernels.interface import BoundSampler, Engine
from rbmscape.kernels.select import select_engine
from rbmscape.memory import check_memory
from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream

__all__ = [
    "Chains",
    "GibbsInfo",
    "GibbsSampler",
    "final_hidden",
    "init",
    "make_sampler",
    "random_start",
    "step",
    "trace",
]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Chains(OneLine):
    """What is carried from step to step.

    Attributes
    ----------
    v : (n_chains, N) uint8
    steps : Gibbs steps made so far
    first_chain : number of the chain in row 0
    """

    v: Tensor
    steps: int = 0
    first_chain: int = 0


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GibbsInfo(OneLine):
    """What a step leaves behind: the hidden states (n_chains, M) uint8 that the new v was drawn from."""

    h: Tensor


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GibbsSampler(OneLine):
    """A model bound to one engine and a fixed number of chains, and the source of randomness."""

    engine: Engine
    bound: BoundSampler
    stream: Stream
    beta: float

    def _headline(self) -> str:
        return f"engine {self.engine.name}, {self.engine.precision}, beta {self.beta:g}"


def make_sampler(
    rbm: RBM,
    n_chains: int,
    stream: Stream,
    beta: float = 1.0,
    engine: str | Engine = "auto",
    precision: str = "auto",
) -> GibbsSampler:
    """Prepare a model for n_chains chains at inverse temperature beta.

    Raises
    ------
    EngineError : engine or precision is not available on this machine
    """
    chosen = select_engine(engine, precision, rbm.device)
    _check_chains(n_chains, rbm.n_visible + rbm.n_hidden)
    return GibbsSampler(chosen, chosen.bind(rbm, n_chains), stream, beta)


def random_start(
    n_chains: int, n_visible: int, stream: Stream, first_chain: int = 0, device: torch.device | str = "cpu"
) -> Tensor:
    """(n_chains, n_visible) uint8 states with independent fair bits, from draw 0 of the child stream ``start``."""
    _check_chains(n_chains, 4 * n_visible)
    uniform = stream.child("start").uniform(0, n_chains, n_visible, first_chain, device)
    return (uniform < 0.5).to(torch.uint8)


def _check_chains(n_chains: int, bytes_a_chain: int) -> None:
    check_memory(n_chains * bytes_a_chain, f"{n_chains} chains", "take fewer at a time")


def init(v: Tensor, first_chain: int = 0) -> Chains:
    """Chains that start in the given states."""
    return Chains(v.to(torch.uint8), 0, first_chain)


def step(sampler: GibbsSampler, chains: Chains, n_steps: int = 1) -> tuple[Chains, GibbsInfo]:
    """n_steps full Gibbs steps, each h ~ p(h|v) and then v ~ p(v|h)."""
    bound = sampler.bound
    bound.v.copy_(chains.v)
    bound.sweep(sampler.stream, chains.steps, n_steps, sampler.beta, chains.first_chain)
    moved = Chains(bound.v.to(torch.uint8), chains.steps + n_steps, chains.first_chain)
    return moved, GibbsInfo(bound.h.to(torch.uint8))


def final_hidden(sampler: GibbsSampler, chains: Chains) -> Tensor:
    """(n_chains, M) uint8 draw from p(h | v): the h that the next step would use."""
    bound = sampler.bound
    bound.v.copy_(chains.v)
    bound.sample_hidden(sampler.stream, 2 * chains.steps, sampler.beta, chains.first_chain)
    return bound.h.to(torch.uint8)


def trace(
    sampler: GibbsSampler,
    chains: Chains,
    n_draws: int,
    observable: Callable[[Tensor], Tensor],
    thin: int = 1,
) -> tuple[Chains, Tensor]:
    """Values of an observable of v along the chains.

    Parameters
    ----------
    n_draws : how many values, one after every `thin` steps
    observable : maps (n_chains, N) uint8 to (n_chains, ...)

    Returns
    -------
    the advanced chains, and (n_chains, n_draws, ...)
    """
    values = []
    for state in _advance(sampler, chains, n_draws, thin):
        chains = state
        values.append(observable(state.v))
    return chains, torch.stack(values, dim=1)


def _advance(sampler: GibbsSampler, chains: Chains, n_draws: int, thin: int) -> Iterator[Chains]:
    for _ in range(n_draws):
        chains, _info = step(sampler, chains, thin)
        yield chains
