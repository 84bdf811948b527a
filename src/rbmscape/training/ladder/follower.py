"""The ladder as a training carries it along: every update is followed, a checkpoint is measured.

`Follower` is the only part with state; everything that it does to the state is a pure function of the other files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rbmscape.errors import LadderStalledError
from rbmscape.kernels.interface import Annealer, BoundPath, ModelLike
from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream
from rbmscape.training.ladder.audit import blind_doubts, scout
from rbmscape.training.ladder.climb import Climb, Effort, climb
from rbmscape.training.ladder.control import Action, Rate, decide, frozen, was_rejected, went_on
from rbmscape.training.ladder.exchange import MAX_THIN, draw_partners, make_offer, thinness
from rbmscape.training.ladder.groups import group_count
from rbmscape.training.ladder.machine import Machine
from rbmscape.training.ladder.report import Report, report
from rbmscape.training.ladder.rungs import Ladder, Rung, base_ladder, base_model
from rbmscape.training.ladder.store import ladder_tensors, rate_tensor, read_ladder, read_rate
from rbmscape.training.ladder.sweep import sweep
from rbmscape.training.ladder.verdict import excursion, excursion_doubts

__all__ = ["Follower", "Thresholds"]

SCOUT_EVERY, SCOUTS, SCOUT_STEPS, SCOUT_TOLERANCE = 100, 64, 64, 3.0
SWEEP_SHARE = 3
DATA_ROWS = 1000
ENOUGH_DATA = 20


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Mean acceptance below which a model is frozen, and below which it is taken back."""

    freeze: float = 0.3
    reject: float = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What following an update led to.

    Attributes
    ----------
    chains : (C, N) uint8 to go on with
    action : freeze and reject as they ended; with reject, go back to the model of the newest rung
    acceptance : mean acceptance of the present model's exchanges
    reasons : why the model was taken back, in words
    """

    chains: Tensor
    action: Action
    acceptance: float
    reasons: tuple[str, ...] = ()


class Follower:
    """Ladder, controller and randomness of one training.

    Parameters
    ----------
    annealer : samples and weighs
    model : before the first update
    chains : (C, N) the training's first chains
    reservoir : states that the newest rung keeps, at least C
    data : (n, N) training data
    seed : of the run
    """

    def __init__(
        self,
        annealer: Annealer,
        model: RBM,
        chains: Tensor,
        reservoir: int,
        data: Tensor,
        thresholds: Thresholds,
        seed: int,
    ) -> None:
        self.machine = Machine(annealer)
        self.stream = Stream(seed, "training/ladder")
        self.thresholds = thresholds
        self._n_chains = n_chains = len(chains)
        groups = group_count(n_chains)
        per_group = n_chains // groups
        self.effort = Effort(per_group * -(-reservoir // (groups * per_group)), per_group)
        picks = torch.from_numpy(self.stream.child("data").numpy().permutation(len(data))[:DATA_ROWS])
        self.data = data[picks.to(data.device)]
        self.rate = Rate()
        self.acceptance = 1.0
        self.reported: Rung | None = None
        base = base_ladder(self.machine, base_model(model), groups, self.effort.size, self.stream.child("base"))
        self.ladder: Ladder = base

    def first_chains(self) -> Tensor:
        """(C, N) states of the lowest rung: exact samples, close to the first model."""
        partner = draw_partners(self._n_chains, self.ladder.top.log_density, self.stream.child("first").numpy())
        return self.ladder.top.flat[partner]

    def grow(self, way: Sequence[Callable[[], RBM]]) -> Tensor:
        """Climb along models of an earlier training; returns the chains (C, N) at the last of them.

        Models that the newest reservoir can do without are left out.

        Raises
        ------
        LadderStalledError : somewhere chains do not come to equilibrium, or too many rungs lie between two models
        """
        chains, number = self.first_chains(), 0
        while number < len(way):
            number, model = self._farthest(way, number)
            stream = self.stream.child(f"grow/{number}")
            found = climb(self.machine, self.ladder, model, chains, self.effort, stream, 0)
            if found.doubts:
                raise LadderStalledError(
                    f"the ladder of method 'ptt' does not reach model {number + 1} of the {len(way)} that lead to init "
                    f"({'; '.join(found.doubts)}); train in equilibrium from the start, with more n_chains, or go on "
                    "with method='pcd'"
                )
            self.ladder, chains = found.ladder, found.chains
            number += 1
        return chains

    def _farthest(self, way: Sequence[Callable[[], RBM]], number: int) -> tuple[int, RBM]:
        """The last model in a row from this one on that the newest reservoir can represent, at least this one."""
        top = self.ladder.top
        model = self._like(way[number]())
        for following in range(number + 1, len(way)):
            candidate = self._like(way[following]())
            density = self.machine.log_densities(top.flat, self.machine.prepare(candidate))[0]
            if thinness(density - top.log_density.reshape(-1)) > MAX_THIN:
                break
            number, model = following, candidate
        return number, model

    def _like(self, model: RBM) -> RBM:
        """A model where the rungs are, in their numbers."""
        return model.to(self.ladder.top.model.device, self.ladder.top.model.dtype)

    @property
    def sweep_interval(self) -> int:
        """Updates between sweeps: thrice as many as there are rungs, so that each update's share costs the same."""
        return SWEEP_SHARE * len(self.ladder.rungs)

    def follow(self, update: int, model: ModelLike, chains: Tensor) -> Step:
        """Exchange with the newest rung, and freeze or reject where the acceptance asks for it.

        Parameters
        ----------
        update : finished updates
        model : the present one
        chains : (C, N) uint8
        """
        if update % self.sweep_interval == 0:
            self.ladder = sweep(self.machine, self.ladder, self.effort.keep, self.stream.child("sweep"))
        prepared = self.machine.prepare(model)
        moved, acceptance, thin = self._exchange(update, prepared, chains)
        action = decide(self.rate, acceptance, self.thresholds.freeze, self.thresholds.reject)
        self.acceptance = acceptance
        if action is Action.GO_ON and thin > MAX_THIN:
            action = Action.FREEZE
        if update % SCOUT_EVERY == 0:
            scouts = self.stream.child(f"scouts/{update}")
            blind = scout(self.machine, prepared, self.ladder, moved, self.data, SCOUTS, SCOUT_STEPS, scouts)
            if doubts := blind_doubts(blind, SCOUT_TOLERANCE):
                return self._reject(update, len(chains), acceptance, tuple(doubts))
        if action is Action.FREEZE:
            return self._freeze(update, model, moved, acceptance)
        if action is Action.REJECT:
            return self._reject(update, len(chains), acceptance, (f"the acceptance fell to {acceptance:.2f}",))
        self.rate = went_on(self.rate, acceptance, self.thresholds.freeze)
        return Step(moved, action, acceptance)

    def _exchange(self, update: int, model: BoundPath, chains: Tensor) -> tuple[Tensor, float, float]:
        top, generator = self.ladder.top, self.stream.child("exchange").numpy(update)
        partner = draw_partners(len(chains), top.log_density, generator)
        states = top.flat[partner]
        own, there = self.machine.log_densities(chains, model, top.prepared)
        offered = self.machine.log_densities(states, model)[0] - top.log_density.reshape(-1)[partner]
        offer = make_offer(own - there, offered, generator)
        return torch.where(offer.taken[:, None], states, chains), offer.acceptance, offer.thin

    def _freeze(self, update: int, model: ModelLike, chains: Tensor, acceptance: float) -> Step:
        found = climb(
            self.machine,
            self.ladder,
            RBM(model.weights, model.visible_bias, model.hidden_bias),
            chains,
            self.effort,
            self.stream.child(f"freeze/{update}"),
            update,
        )
        if doubts := self._doubts(found):
            return self._reject(update, len(chains), acceptance, doubts)
        self.ladder, self.rate = found.ladder, frozen(self.rate, len(found.stages))
        return Step(found.chains, Action.FREEZE, acceptance)

    def _doubts(self, found: Climb) -> tuple[str, ...]:
        """What speaks against the new rung: its own signs, and whether it is an excursion."""
        if len(self.data) < ENOUGH_DATA:
            return found.doubts
        old, new = self.ladder.top, found.ladder.top
        before, after = self.machine.log_densities(self.data, old.prepared, new.prepared)
        ratio = found.ladder.log_partition - self.ladder.log_partition
        return (*found.doubts, *excursion_doubts(excursion(after - before, ratio)))

    def give_up(self, update: int, reason: str) -> Step:
        """Take a model back whose parameters cannot be used at all."""
        return self._reject(update, self._n_chains, 0.0, (reason,))

    def _reject(self, update: int, n_chains: int, acceptance: float, reasons: tuple[str, ...]) -> Step:
        """Chains from the newest reservoir, and half the rate."""
        self.rate = was_rejected(self.rate)
        top = self.ladder.top
        partner = draw_partners(n_chains, top.log_density, self.stream.child("return").numpy(update))
        return Step(top.flat[partner].clone(), Action.REJECT, acceptance, reasons)

    def measure(self, update: int, model: RBM, chains: Tensor, train: Tensor, test: Tensor) -> dict[str, Any]:
        """The log-likelihoods of a checkpoint's model, see `report`; nothing of the training is changed."""
        found = climb(
            self.machine, self.ladder, model, chains, self.effort, self.stream.child(f"checkpoint/{update}"), update
        )
        self.reported = found.ladder.top
        told: Report = report(self.machine, found, model, self.data, train, test, self.stream.child(f"audit/{update}"))
        return told.metrics() | {
            "acceptance": self.acceptance,
            "rungs": len(self.ladder.rungs),
            "rate_factor": self.rate.factor,
            "rejections": self.rate.rejections,
        }

    def state(self) -> dict[str, Tensor]:
        """Everything that the next update depends on, but for the rungs' models."""
        return ladder_tensors(self.ladder) | rate_tensor(self.rate, self.acceptance)

    def restore(self, tensors: Mapping[str, Tensor], models: Sequence[Mapping[str, Tensor]]) -> None:
        """Go on from what `state` returned.

        Parameters
        ----------
        models : parameters of the rungs, lowest first

        Raises
        ------
        FormatError : something is missing
        """
        self.ladder = read_ladder(self.machine, tensors, models)
        self.rate, self.acceptance = read_rate(tensors)
