"""Whole parameter updates of R models on the device, queued without a look at any number; on GPUs as one graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from rbmscape.kernels.cuda import launch
from rbmscape.kernels.cuda.models import EXACT, Models, Shape, States
from rbmscape.kernels.cuda.phases import Phases
from rbmscape.kernels.reference.descent import BIASES, CARRIED, TILE, DescentRule, coefficients

__all__ = ["NOT_YET", "Rule", "Update"]

NOT_YET: Final = 2**31 - 1
"""`Update.first_bad` of a model that has not diverged."""
_BLOCK: Final = 1024
_KINDS: Final = {name: kind for kind, name in enumerate(CARRIED)}
_ALIGNED: Final = 64


@dataclass(frozen=True, slots=True)
class Rule(DescentRule):
    """What is common to the recipes of all models; see `rbmscape.TrainingConfig`.

    Attributes
    ----------
    batch_size, n_chains, gibbs_steps : of an update
    method : where chains start: ``pcd`` where they stand, ``cd`` at the minibatch, ``rdm`` at independent fair coins
    """

    batch_size: int
    n_chains: int
    gibbs_steps: int
    method: str = "pcd"


class Update:
    """R models of equal shape, their chains and optimiser, and the update that moves all of them.

    Parameters
    ----------
    shape : number and size
    train : (n, N) uint8
    rule : of the update
    schedule : (R, updates, 3) float32: step, square root of Adam's second correction, weight of the average
    device : a CUDA device, or a processor under Triton's interpreter

    Attributes
    ----------
    parameters, average, gradient, slots : rows of all parameters; see `rbmscape.kernels.cuda.steps`
    coins : the same states as `states`, with the numbers that method ``rdm`` draws its first hidden units with
    first_bad : (R,) int32: the first update after which a model was beyond bounds, or `NOT_YET`
    """

    def __init__(self, shape: Shape, train: Tensor, rule: Rule, schedule: Tensor, device: torch.device | str) -> None:
        self.shape, self.rule, self.device = shape, rule, torch.device(device)
        self.models = Models(shape, device)
        self.states = States(shape, rule.n_chains, device)
        self.coins = self.states.with_own_numbers()
        self._flat = self.models.at(0.0)
        self.phases = Phases(self.models, self.states, train.to(device), rule.batch_size)
        n, m, r = shape.visible, shape.hidden, shape.models
        self.size = n * m + n + m
        self.stride = -(-self.size // _ALIGNED) * _ALIGNED
        self.parameters, self.gradient = (torch.zeros(r, self.stride, device=device) for _ in range(2))
        self.average = self.parameters.clone() if rule.averaged else self.parameters
        carried = max(1, len(CARRIED[rule.optimizer]))
        self.slots = [torch.zeros(r, self.stride, device=device) for _ in range(carried)]
        self.schedule = schedule.to(device, torch.float32).contiguous()
        self.first_bad = torch.full((r,), NOT_YET, dtype=torch.int32, device=device)
        active = train.to(device).sum(0, dtype=torch.int64)
        self.offset = active.to(torch.float32) / torch.tensor(len(train), dtype=torch.float32, device=device)
        self._tiles = -(-n // TILE), -(-m // TILE)
        self._blocks = -(-max(n, m) // BIASES)
        down, across = self._tiles
        self._rows = torch.zeros(r, across, n, dtype=torch.int64, device=device)
        self._columns = torch.zeros(r, down, m, dtype=torch.int64, device=device)
        shares = down * across + 2 * self._blocks
        self._squares = torch.zeros(r, 1 << (shares - 1).bit_length(), dtype=torch.float64, device=device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self.tiles = launch.choose_tiles(self.models, self.states, recorded=True)

    def views(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Weights (R, N, M) and biases (R, N), (R, M) in rows of all parameters."""
        n, m = self.shape.visible, self.shape.hidden
        edges = n * m, n * m + n
        weights, visible, hidden = rows[:, : self.size].tensor_split(edges, 1)
        return weights.view(-1, n, m), visible, hidden

    def prepare(self) -> None:
        """Round the parameters; once before the first update, and after every change from outside."""
        self.models.round(*self.views(self.parameters))

    def queue(self) -> None:
        """One update, kernel by kernel."""
        rule, states = self.rule, self.states
        self._sample()
        self.phases.gather()
        weights, _, hidden_bias = self.views(self.parameters)
        self.phases.correlations(weights, hidden_bias, self.views(self.gradient)[0])
        self._move()
        self.models.round_known(*self.views(self.parameters))
        from rbmscape.kernels.cuda import steps

        steps.tick[1,](
            self.phases.clock, states.numbers, rule.batch_size, 2 * rule.gibbs_steps, self.shape.models, **EXACT
        )

    def _sample(self) -> None:
        """K Gibbs steps from where the method starts them; the first of ``rdm`` has its hidden units at beta = 0."""
        rule, states, done = self.rule, self.states, 0
        if rule.method == "cd":
            self.phases.gather()
            states.v[:, : rule.batch_size].copy_(self.phases.data[:, : rule.batch_size])
        elif rule.method == "rdm":
            self.coins.numbers[:, 3].copy_(self.phases.clock[0])
            launch.draw_hidden(self._flat, self.coins, 0, self.tiles)
            launch.draw_visible(self.models, states, 1, self.tiles)
            done = 1
        launch.sweep(self.models, states, rule.gibbs_steps - done, self.tiles, offset=2 * done)

    def _move(self) -> None:
        """From the gradient of the weights, the counts and the sums to the next parameters."""
        from rbmscape.kernels.cuda import steps

        rule, shape, phases = self.rule, self.shape, self.phases
        n, m, r = shape.visible, shape.hidden, shape.models
        sides = n, m, shape.visible_row, shape.hidden_row, self.stride, self._squares.shape[1]
        samples = float(rule.batch_size), float(rule.n_chains)
        shares = self._rows, self._columns, self._squares
        down, across = self._tiles
        how: dict[str, Any] = {"CENTERED": rule.centered} | EXACT
        steps.center[down, across, r](
            self.parameters, self.gradient, phases.counts, phases.sums, self.offset, *shares, *sides, *samples, rule.l1,
            rule.l2, BLOCK=TILE, **how,
        )  # fmt: skip
        steps.biases[self._blocks, 2, r](
            self.gradient, phases.counts, phases.sums, *shares, *sides, across, down, *samples, BLOCK=BIASES, **how
        )
        steps.apply[-(-self.size // _BLOCK), r](
            self.parameters, self.gradient, self.average, self.slots[0], self.slots[-1], self._squares, self.schedule,
            phases.clock, self.models.bits, self.first_bad, n * m, self.size, self.stride, self.schedule.shape[1],
            rule.longest, *coefficients(rule), KIND=_KINDS[rule.optimizer],
            CLIPPED=rule.longest > 0.0, AVERAGED=rule.averaged, SHARES=self._squares.shape[1], BLOCK=_BLOCK, **EXACT,
        )  # fmt: skip

    def run(self, n_updates: int = 1) -> None:
        """Queue some updates of one epoch; on a GPU the first call records them as a graph."""
        if self.device.type != "cuda":
            for _ in range(n_updates):
                self.queue()
            return
        if self._graph is None:
            self._graph = self._record()
        for _ in range(n_updates):
            self._graph.replay()

    def _record(self) -> torch.cuda.CUDAGraph:
        """The graph of an update; kernels are compiled before, by an update that is undone."""
        kept = [tensor.clone() for tensor in self._state()]
        side = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(side):
            self.queue()
        torch.cuda.current_stream(self.device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.queue()
        for tensor, value in zip(self._state(), kept, strict=True):
            tensor.copy_(value)
        self.prepare()
        return graph

    def _state(self) -> list[Tensor]:
        """What an update changes and the next one depends on, but for what `prepare` makes of it."""
        states = [self.parameters, *self.slots, self.states.v, self.states.numbers, self.phases.clock, self.first_bad]
        return [*states, self.average] if self.rule.averaged else states
