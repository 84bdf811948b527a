"""One parameter update after the other (arXiv:2503.21536, section 2, equation 13), all of its state in plain sight.

The trainer holds parameters, their running average, the optimiser and the Markov chains; `state` and `restore` move all
of it to and from named tensors.  Shuffles, initial weights and chains draw from counters (seed, purpose, number), so
there is no generator whose state could be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from rbmscape.data.dataset import Dataset
from rbmscape.errors import DivergenceError, LadderStalledError
from rbmscape.kernels.interface import Engine, Gradient, Parameters
from rbmscape.model.rbm import PARAMETER_NAMES, RBM
from rbmscape.rng import Stream
from rbmscape.runs.config import TrainingConfig
from rbmscape.runs.schedule import learning_rate_factor
from rbmscape.training.beginning import Beginning
from rbmscape.training.counted import Completions, TrainingRows
from rbmscape.training.descent import Descent, arithmetic_of, make_descent, visible_means
from rbmscape.training.initial import first_chains, initial_model, longest_gradient
from rbmscape.training.ladder.control import Action
from rbmscape.training.ladder.follower import Follower, Step, Thresholds
from rbmscape.training.ladder.store import model_tensors, reported_tensors
from rbmscape.training.rows import Rows
from rbmscape.training.team import ALONE, CHAINS, RESTORE, STEP, Team

__all__ = ["Trainer"]

MAX_WEIGHT: Final = 1e4
RESERVOIR_CHAINS: Final = 10


class Trainer:
    """State of one training run between two updates.

    Parameters
    ----------
    dataset : what is learned; ``dataset.train`` is (n, N) uint8
    config : the recipe
    engine : what samples the negative phase
    begin : model and chains to begin with; by default untrained ones
    arithmetic : of the updates (`rbmscape.training.descent`); by default that of new runs
    team : processes that share the chains and the minibatch

    Attributes
    ----------
    update : finished parameter updates
    updates_per_epoch, total_updates : length of an epoch and of the whole training
    """

    def __init__(
        self,
        dataset: Dataset,
        config: TrainingConfig,
        engine: Engine,
        begin: Beginning | None = None,
        arithmetic: str | None = None,
        team: Team = ALONE,
    ) -> None:
        self.config, self.engine, self._team = config, engine, team
        self.update = 0
        device, dtype = engine.device, torch.float64 if engine.precision == "fp64" else torch.float32
        self._rows = TrainingRows(dataset, config.seed, device)
        self.train: Rows = self._rows.represented()
        n_train, n_visible = self.train.shape
        self.batch_size = min(config.batch_size, n_train)
        self.n_chains = self.batch_size if config.method == "cd" else config.n_chains
        self.updates_per_epoch = config.updates_per_epoch(n_train)
        self.total_updates = config.epochs * self.updates_per_epoch
        self._streams = {name: Stream(config.seed, f"training/{name}") for name in ("chains", "shuffle", "start")}
        start = initial_model(self.train, config, dtype) if begin is None else begin.model.to(device, dtype)
        self._parameters = {name: getattr(start, name).clone() for name in PARAMETER_NAMES}
        self._average = {name: value.clone() for name, value in self._parameters.items()} if config.averaging else None
        self._gradient = Gradient.empty(n_visible, config.n_hidden, dtype, device)
        self._descent = self._make_descent(arithmetic or arithmetic_of(engine))
        self._sampler = engine.bind(self._present, team.part(self.n_chains))
        self._phases = self._sampler.gradient(team.part(self.batch_size))
        self._completions = self._make_completions()
        self._order: tuple[int, Tensor] | None = None
        known = None if begin is None else begin.first_chains(self.n_chains)
        chains = first_chains(self.train, self._streams["start"], self.n_chains) if known is None else known
        self._sampler.v.copy_(chains[team.own(self.n_chains)])
        way = () if begin is None else begin.way
        self._follower = self._make_follower(start, way) if config.method == "ptt" else None
        self._safe_average = None if self._follower is None or self._average is None else _copies(self._average)

    def _make_completions(self) -> Completions | None:
        """What draws missing entries; None where there are none."""
        if self._rows.missing is None:
            return None
        stream, steps = Stream(self.config.seed, "training/positive"), self.config.gibbs_steps
        return Completions(self._rows, self.engine, self._present, self.batch_size, steps, stream)

    def _make_follower(self, start: RBM, way: Sequence[Callable[[], RBM]]) -> Follower:
        """The ladder of training in equilibrium, its lowest rung or all that lead to the model; chains start there."""
        config = self.config
        thresholds = Thresholds(config.freeze_below, config.reject_below)
        reservoir = config.reservoir or RESERVOIR_CHAINS * self.n_chains
        first = way[0]().to(start.device, start.dtype) if way else start
        follower = Follower(
            self.engine.annealer(), first, self.chains, reservoir, self.train[:], thresholds, config.seed
        )
        self._sampler.v.copy_(follower.grow(way) if way else follower.first_chains())
        return follower

    def _make_descent(self, arithmetic: str) -> Descent:
        """What moves the parameters and their average."""
        parameters = list(self._parameters.values())
        average = list((self._average or self._parameters).values())
        offset = visible_means(self.train, parameters[0].dtype)
        longest = longest_gradient(self.config, self.train.shape[1], self.batch_size, self.n_chains)
        return make_descent(self.config, self.engine, arithmetic, (parameters, average), offset, longest)

    @property
    def _present(self) -> Parameters:
        """The last parameters, not their average."""
        return Parameters(*self._parameters.values())

    @property
    def epoch(self) -> float:
        """Passes over the data so far."""
        return self.update / self.updates_per_epoch

    @property
    def chains(self) -> Tensor:
        """(n_chains, N) uint8 visible states of the negative phase."""
        self._team.tell(CHAINS)
        return self._team.gather(self._sampler.v.to(torch.uint8))

    def model(self, averaged: bool = True) -> RBM:
        """Copy of the present model: averaged parameters where the recipe averages, else (or with False) the last."""
        source = self._average if averaged and self._average is not None else self._parameters
        return RBM(*source.values())

    def step(self) -> None:
        """One parameter update.

        Raises
        ------
        DivergenceError : a parameter is no longer finite, or a weight beyond 1e4
        """
        self._team.tell(STEP)
        epoch, batch = divmod(self.update, self.updates_per_epoch)
        rows = self._shuffled(epoch)[batch * self.batch_size : (batch + 1) * self.batch_size]
        if self._completions is None:
            data = self._rows.rows.index_select(0, rows[self._team.own(self.batch_size)])
        else:
            data = self._completions.complete(rows, self.update)
        self._sample_negative_phase(data)
        hidden_offset = self._team.average(self._gradient, self._phases.compute(data, self._gradient))
        self._descent.move(self._gradient, hidden_offset, self._learning_rate, self.update + 1)
        self._check_finite()
        self.update += 1
        self._descent.take_average(self.update)
        self._follow_parameters()

    def _follow_parameters(self) -> None:
        self._sampler.update(self._present)
        if self._completions is not None:
            self._completions.update(self._present)

    def _shuffled(self, epoch: int) -> Tensor:
        """Order of the training rows in one epoch."""
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, self._rows.order(epoch, self._streams["shuffle"])
        return self._order[1]

    def _sample_negative_phase(self, data: Tensor) -> None:
        """K block Gibbs steps from where the method starts them."""
        if self._follower is not None:
            self._follow(self._follower)
        steps, sampler, chains = self.config.gibbs_steps, self._sampler, self._streams["chains"]
        first, chain = self.update * steps, self._team.own(self.n_chains).start
        if self.config.method == "cd":
            sampler.v.copy_(data)
        elif self.config.method == "rdm":
            sampler.sample_hidden(self._streams["start"], self.update, beta=0.0, first_chain=chain)
            sampler.sample_visible(chains, 2 * first + 1, first_chain=chain)
            first, steps = first + 1, steps - 1
        sampler.sweep(chains, first, steps, first_chain=chain)

    def _follow(self, follower: Follower) -> None:
        """Exchange with the ladder; where it cannot follow, back to its newest model with half the rate."""
        self._take(follower, follower.follow(self.update, self._present, self.chains))

    def _take(self, follower: Follower, step: Step) -> None:
        """Chains, and where the ladder rejected the model its newest one, from what following an update led to.

        Raises
        ------
        LadderStalledError : halving the rate does not help any more
        """
        self._sampler.v.copy_(step.chains)
        if step.action is Action.FREEZE and self._average is not None:
            self._safe_average = _copies(self._average)
        if step.action is not Action.REJECT:
            return
        for name, value in self._parameters.items():
            value.copy_(getattr(follower.ladder.top.model, name))
            if self._average is not None and self._safe_average is not None:
                self._average[name].copy_(self._safe_average[name])
        self._descent.forget()
        self._sampler.update(self._present)
        if follower.rate.stalled:
            raise LadderStalledError(
                f"training stalled at update {self.update}: after {follower.rate.halvings} rejections in a row "
                f"({'; '.join(step.reasons)}) the model of update {follower.ladder.top.update} is the last one that "
                "its ladder could follow, and is kept; train with a lower learning_rate, more n_chains or more "
                "gibbs_steps"
            )

    @property
    def _learning_rate(self) -> float:
        """Of the next update."""
        rate = self.config.learning_rate * learning_rate_factor(self.config, self.update, self.total_updates)
        return rate if self._follower is None else rate * self._follower.rate.factor

    def _check_finite(self) -> None:
        """Refuse parameters that cannot be used; a ladder goes back to its newest model instead."""
        found = self._divergence()
        if found and self._follower is None:
            raise DivergenceError(found)
        if found and self._follower is not None:
            self._take(self._follower, self._follower.give_up(self.update, found))

    def _divergence(self) -> str:
        """What is wrong with the parameters; empty if nothing is."""
        for name, value in self._parameters.items():
            largest = float(value.abs().amax())
            if not largest <= MAX_WEIGHT:
                return (
                    f"training diverged at update {self.update + 1}: the largest |{name}| is {largest:.3g}; "
                    f"lower the learning rate (now {self.config.learning_rate:g}) or take more Gibbs steps"
                )
        return ""

    def checkpoint(self) -> dict[str, Tensor]:
        """Tensors of a checkpoint: the reported model, and the last parameters as raw_* where they differ from it."""
        if self._completions is not None:
            self.train = self._rows.represented()
        if self._average is None:
            return dict(self._parameters)
        return self._average | {f"raw_{name}": value for name, value in self._parameters.items()}

    def state(self) -> dict[str, Tensor]:
        """Everything that the next update depends on."""
        tensors = {f"raw_{name}": value for name, value in self._parameters.items()} | {"chains": self.chains}
        tensors |= self._rows.state()
        if self._average is not None:
            tensors |= {f"average_{name}": value for name, value in self._average.items()}
        if self._follower is not None:
            tensors |= self._follower.state()
            tensors |= {f"safe_{name}": value for name, value in (self._safe_average or {}).items()}
        return tensors | self._descent.state()

    @property
    def n_rungs(self) -> int:
        """Frozen models of "ptt"; 0 otherwise."""
        return 0 if self._follower is None else len(self._follower.ladder.rungs)

    def rungs(self) -> list[dict[str, Tensor]]:
        """Parameters of the frozen models of "ptt", lowest first; they never change."""
        return [] if self._follower is None else [model_tensors(rung) for rung in self._follower.ladder.rungs]

    def reported_rung(self) -> dict[str, Tensor]:
        """The last measured model of "ptt" with its reservoir, as the last rung of its ladder; nothing otherwise."""
        rung = None if self._follower is None else self._follower.reported
        return {} if rung is None else reported_tensors(rung)

    def measured(self, test: Tensor) -> dict[str, Any]:
        """Log-likelihoods of the reported model by the ladder of "ptt", with error and verdict; nothing otherwise."""
        if self._follower is None:
            return {}
        return self._follower.measure(self.update, self.model(), self.chains, self.train[:], test)

    def restore(self, tensors: dict[str, Tensor], update: int, rungs: Sequence[Mapping[str, Tensor]] = ()) -> None:
        """Go on from what `state` and `rungs` returned after ``update`` updates."""
        if self._team.leads:
            self._team.tell(RESTORE)
            self._team.share((dict(tensors), update))
        self.update = update
        for name, value in self._parameters.items():
            value.copy_(tensors[f"raw_{name}"])
            if self._average is not None:
                self._average[name].copy_(tensors[f"average_{name}"])
        self._sampler.v.copy_(tensors["chains"][self._team.own(self.n_chains)])
        self._rows.restore(tensors)
        if self._follower is not None:
            self._follower.restore(tensors, rungs)
            if self._safe_average is not None:
                self._safe_average = {name: tensors[f"safe_{name}"] for name in PARAMETER_NAMES}
        self._descent.restore(tensors)
        self._follow_parameters()


def _copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in tensors.items()}
