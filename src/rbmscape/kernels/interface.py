"""What engines are: arrays in, arrays out, one signature for all of them.

An `Engine` is bound once to a model and a number of chains; what `Engine.bind` returns holds the parameters and the
buffers in the engine's own formats, and does all the work on them:

- `BoundSampler`: Gibbs half-steps and sweeps (equations 10 and 11 of arXiv:2503.21536);
- `BoundGradient`: the gradient of the mean log-likelihood (equations 6 and 9) from data and the sampler's chains;
- `BoundPath`: steps of annealed importance sampling and of replica exchange;
- `RungBatch`: the same for many models of one shape at once.

A half-step is one matrix product and one elementwise pass: ``h ~ Bernoulli(σ(β (v W + b)))``,
``v ~ Bernoulli(σ(β (h Wᵀ + a)))``.  Units are active where a uniform number of `rbmscape.rng.Stream` lies below that
probability, so that every engine draws the same states from the same counters, up to the rounding of the probability.

Paths.  They run through models whose energy is linear in the inverse temperature t, from independent units (t = 0) to
the RBM of equation 3 (t = 1); with the hidden layer summed out, the unnormalised marginals are

``ln f_t(v) = ((1-t) a0 + t a)·v + Σ_j softplus(x_j(t))``,  ``x_j(t) = (1-t) b0_j + t (b_j + (vW)_j)``.

A step from s to t adds ``ln f_t(v) - ln f_s(v)`` to the log weights and draws ``h ~ σ(x(t))``,
``v ~ σ((1-t) a0 + t (a + hWᵀ))``.  Both need the same product vW, so a step costs two matrix products.

Shapes: v is (n_chains, N), h is (n_chains, M), W is (N, M), log weights (n_chains,) float64.  Kernels trust their
arguments; they are validated once at the public edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from rbmscape.rng import Stream

__all__ = [
    "Annealer",
    "BoundGradient",
    "BoundPath",
    "BoundSampler",
    "Engine",
    "Gradient",
    "ModelLike",
    "Parameters",
    "RungBatch",
]


class ModelLike(Protocol):
    """Whatever has the parameters of an RBM; on any device, in any floating dtype."""

    @property
    def weights(self) -> Tensor:
        """(N, M) W."""

    @property
    def visible_bias(self) -> Tensor:
        """(N,) a."""

    @property
    def hidden_bias(self) -> Tensor:
        """(M,) b."""


@dataclass(frozen=True, slots=True, eq=False)
class Parameters:
    """Three tensors as a `ModelLike`: W (N, M), a (N,), b (M,)."""

    weights: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Gradient:
    """Buffers for ∂/∂W (N, M), ∂/∂a (N,), ∂/∂b (M,) of the mean log-likelihood; the caller's, filled in place."""

    weights: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """All three, in the order of the model's parameters."""
        return self.weights, self.visible_bias, self.hidden_bias

    @classmethod
    def empty(cls, n_visible: int, n_hidden: int, dtype: torch.dtype, device: torch.device | str = "cpu") -> Self:
        """Buffers of one shape, filled with zeros."""
        shapes = (n_visible, n_hidden), (n_visible,), (n_hidden,)
        return cls(*(torch.zeros(shape, dtype=dtype, device=device) for shape in shapes))


class BoundGradient(Protocol):
    """Gradient of a fixed number of data rows and of a sampler's chains, with the buffers that it takes."""

    def compute(self, data: Tensor, out: Gradient) -> Tensor:
        """Equation 6 into `out`, for the sampler's parameters and its present chains v.

        Parameters
        ----------
        data : (B, N) states of the positive phase, entries 0 and 1 of any dtype
        out : filled with the gradient, in the dtype of the biases

        Returns
        -------
        (M,) mean over the data rows of the hidden means
        """


class BoundSampler(Protocol):
    """A model and a number of chains in the formats of one engine.

    The chains' states may be read and written between calls.
    """

    @property
    def v(self) -> Tensor:
        """(n_chains, N) in the engine's state dtype, entries 0 or 1; all 0 at first."""

    @property
    def h(self) -> Tensor:
        """(n_chains, M), as v."""

    def update(self, model: ModelLike) -> None:
        """Renew the parameters in place by those of a model of the same shape.

        Tensors that need no cast are used as they are, without a copy: call it after every change of theirs.
        """

    def sample_hidden(self, stream: Stream, draw: int, beta: float = 1.0, first_chain: int = 0) -> None:
        """h ~ p(h | v) at inverse temperature beta, with the numbers of one draw of the stream (equation 10)."""

    def sample_visible(self, stream: Stream, draw: int, beta: float = 1.0, first_chain: int = 0) -> None:
        """v ~ p(v | h) at inverse temperature beta (equation 11)."""

    def sweep(self, stream: Stream, first_step: int, n_steps: int, beta: float = 1.0, first_chain: int = 0) -> None:
        """n_steps full Gibbs steps; step s uses draw 2s for h and 2s + 1 for v.

        The chains' state is v.  Afterwards h is the one that generated v, not a draw from p(h | v).
        """

    def hidden_probability(self, v: Tensor, out: Tensor, beta: float = 1.0) -> Tensor:
        """σ(β (v W + b)) with unrounded weights into `out`; v and out of any number of rows, in the biases' dtype."""

    def gradient(self, n_data: int) -> BoundGradient:
        """What computes the gradient of n_data data rows and these chains, whose parameters it follows."""


class BoundPath(Protocol):
    """A path to a model and a number of chains, in the formats of one annealer; a `ModelLike` itself.

    As a model it is the one at t = 1 that its products represent exactly.
    """

    @property
    def weights(self) -> Tensor:
        """(N, M) float64 weights that the products represent exactly."""

    @property
    def visible_bias(self) -> Tensor:
        """(N,) a."""

    @property
    def hidden_bias(self) -> Tensor:
        """(M,) b."""

    @property
    def v(self) -> Tensor:
        """(n_chains, N) entries 0 or 1, to be read; `load` writes them."""

    @property
    def h(self) -> Tensor:
        """(n_chains, M) entries 0 or 1, to be read."""

    def with_chains(self, n_chains: int) -> Self:
        """The same path, with buffers of its own for another number of chains."""

    def on(self, other: Self) -> Self:
        """The same path at the chains and in the buffers of another one, for which `other` must load again."""

    def load(self, v: Tensor) -> None:
        """Take states (n_chains, N) of any dtype, entries 0 or 1."""

    def weigh(self, log_weights: Tensor, start: float, end: float) -> None:
        """log_weights += ln f_end(v) - ln f_start(v)."""

    def step(
        self, log_weights: Tensor, start: float, end: float, stream: Stream, draw: int, first_chain: int = 0
    ) -> None:
        """Weigh as above, then one Gibbs step at `end`: h with the numbers of `draw`, v with those of `draw + 1`."""

    @property
    def steps_at_once(self) -> int:
        """Steps of one `walk` that cost least; between walks one may look at the clock and at signals."""

    @property
    def chains_at_once(self) -> int:
        """Chains that cost least."""

    def walk(
        self, log_weights: Tensor, temperatures: Sequence[float], stream: Stream, draw: int, first_chain: int = 0
    ) -> Tensor:
        """`step` from each temperature to the next, the k-th with the draws ``draw + 2k`` and ``draw + 2k + 1``.

        Returns
        -------
        (steps,) float64 variance over the chains of what each step adds to the log weights
        """

    def move(self, stream: Stream, draw: int, n_steps: int = 1) -> None:
        """Gibbs steps of the model itself (t = 1), as `step` draws them; load again before `weigh` or `step`.

        The k-th has the numbers of ``draw + 2k`` and ``draw + 2k + 1``.
        """

    def log_density(self) -> Tensor:
        """(n_chains,) float64 ln f_1(v) = -F(v), whichever path the states were loaded for; load again as above."""

    def exchange(self, other: Self, swap: Tensor) -> None:
        """Exchange the states v of the chains that `swap` (n_chains,) bool marks; both must load again as above."""

    def beside(self, others: Sequence[Self], n_chains: int) -> RungBatch:
        """Its model and those of other paths of its shape, with chains of their own, to be moved together."""


class RungBatch(Protocol):
    """Models of one shape at t = 1, each with as many chains, in the format of one annealer.

    States are those that the paths have one by one, bit for bit.
    """

    def load(self, states: Tensor) -> None:
        """Take states (R, n_chains, N), entries 0 or 1."""

    def v(self, rung: int) -> Tensor:
        """(n_chains, N) states of one rung, entries 0 or 1, to be read."""

    def states(self) -> Tensor:
        """(R, n_chains, N) uint8, a copy of all states."""

    def project(self, directions: Tensor) -> Tensor:
        """(R, n_chains, k) states times (N, k) directions, in their dtype."""

    def walk(
        self, streams: Sequence[Stream], draw: int, n_steps: int, looks: Sequence[tuple[int, int]]
    ) -> list[Tensor]:
        """Gibbs steps as of `BoundPath.move`, each rung's with a stream of its own, then free energies.

        Parameters
        ----------
        streams : one a rung
        looks : pairs of the rung whose states, and the rung whose model is meant, ordered by the first

        Returns
        -------
        (n_chains,) float64 ln f_1(v) = -F(v) for each of the looks
        """

    def exchange(self, first: int, swap: Tensor) -> None:
        """Exchange states of rungs first and first + 1, first + 2 and first + 3, … where `swap` is.

        swap : (pairs, n_chains) bool
        """


class Annealer(Protocol):
    """What binds paths in one number format."""

    @property
    def name(self) -> str:
        """Of the number format: ``reference``, ``fp32``, ``bytes``, ``tables`` or ``tiles``."""

    def bind(self, model: ModelLike, n_chains: int = 0, base: tuple[Tensor, Tensor] | None = None) -> BoundPath:
        """A path to a model, for a number of chains.

        Parameters
        ----------
        n_chains : 0 where those of another path will serve (`BoundPath.on`), or none at all
        base : a0 (N,) and b0 (M,) of the independent units at t = 0; zeros, the flat measure, by default
        """


@runtime_checkable
class Engine(Protocol):
    """What binds models in one number format on one device."""

    @property
    def name(self) -> str:
        """One of the names in `rbmscape.kernels.select.ENGINES`."""

    @property
    def precision(self) -> str:
        """``fixed``, ``fp32``, ``bf16`` or ``fp64``: the number format of the matrix products."""

    @property
    def state_dtype(self) -> torch.dtype:
        """dtype in which states are stored, that of the matrix products' inputs."""

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""

    def bind(self, model: ModelLike, n_chains: int) -> BoundSampler:
        """The model, ready to sample n_chains chains."""

    def annealer(self) -> Annealer:
        """The annealer that goes with this engine."""
