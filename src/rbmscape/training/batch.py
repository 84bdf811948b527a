"""Many models of equal shape in training at once, on a graphics processor (section 2 of arXiv:2503.21536).

`rbmscape.kernels.cuda.update` moves all of them with the same launches; here are the recipes, the random numbers and
the state of each, in the terms of `rbmscape.training.trainer.Trainer`.  What a model becomes does not depend on which
others train beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import torch
from torch import Tensor

from rbmscape.data.dataset import Dataset
from rbmscape.errors import DivergenceError, EngineError
from rbmscape.kernels.interface import Engine
from rbmscape.kernels.reference.descent import CARRIED
from rbmscape.model.rbm import PARAMETER_NAMES, RBM
from rbmscape.rng import Stream
from rbmscape.runs.config import TrainingConfig
from rbmscape.runs.optimizers import OPTIMIZERS
from rbmscape.runs.schedule import learning_rate_factor
from rbmscape.training.descent import numbers_of, rule_of
from rbmscape.training.initial import first_chains, initial_model, longest_gradient

__all__ = ["Batch", "Replica", "can_batch", "models_that_fit", "shared_choices"]

_OWN: Final = {
    "seed",
    "learning_rate",
    "warmup",
    "schedule",
    "decay_start",
    "early_checkpoints",
    "checkpoint_epochs",
    "online_likelihood",
    "weight_std",
    "visible_bias_init",
}
"""Choices in which the models of a batch may differ."""


def can_batch(config: TrainingConfig, engine: Engine) -> bool:
    """Whether an engine trains models of a recipe at once."""
    is_cuda = engine.name == "cuda" and engine.precision == "fixed"
    return is_cuda and config.method != "ptt" and not config.patience


def shared_choices(config: TrainingConfig) -> str:
    """The same for recipes whose models can train as one batch."""
    return repr([(name, value) for name, value in config if name not in _OWN])


def _chains_of(config: TrainingConfig, n_train: int) -> tuple[int, int]:
    """Samples of a minibatch, and chains."""
    batch = min(config.batch_size, n_train)
    return batch, batch if config.method == "cd" else config.n_chains


def _sizes(dataset: Dataset, config: TrainingConfig) -> Any:
    from rbmscape.kernels.cuda.memory import Sizes

    n_train = len(dataset.train)
    batch, chains = _chains_of(config, n_train)
    rows = 2 + (config.averaging > 0) + max(1, OPTIMIZERS[config.optimizer].state(config))
    updates = config.epochs * config.updates_per_epoch(n_train)
    return Sizes(dataset.n_visible, config.n_hidden, n_train, batch, chains, updates, rows)


def models_that_fit(dataset: Dataset, config: TrainingConfig, engine: Engine) -> int | None:
    """Models of a recipe that the engine's device has room for at once; None where it does not matter."""
    from rbmscape.kernels.cuda.memory import free_bytes

    free = free_bytes(engine.device)
    return None if free is None else int(_sizes(dataset, config).models_that_fit(free))


class Batch:
    """Models in training, all after the same update.

    Parameters
    ----------
    dataset : what is learned
    configs : recipes with the same `shared_choices`
    engine : one that `can_batch` them

    Attributes
    ----------
    update : finished parameter updates
    replicas : one for each recipe

    Raises
    ------
    EngineError : the device has too little free memory
    """

    def __init__(self, dataset: Dataset, configs: Sequence[TrainingConfig], engine: Engine) -> None:
        from rbmscape.kernels.cuda.models import Shape
        from rbmscape.kernels.cuda.update import Update

        self.engine, self.update = engine, 0
        config = configs[0]
        self._check_room(dataset, config, len(configs))
        self.train = torch.tensor(dataset.train, device=engine.device)
        n_train = len(dataset.train)
        self.batch_size, self.n_chains = _chains_of(config, n_train)
        self.updates_per_epoch = config.updates_per_epoch(n_train)
        self.total_updates = config.epochs * self.updates_per_epoch
        schedule = torch.tensor([self._schedule(one) for one in configs]).reshape(len(configs), -1, 3)
        shape = Shape(len(configs), dataset.n_visible, config.n_hidden)
        self.on_device = Update(shape, self.train, self._rule(config), schedule, engine.device)
        self._epoch: int | None = None
        self.replicas = [Replica(self, place, one) for place, one in enumerate(configs)]
        self.on_device.coins.numbers.copy_(self._numbers("start", 0))

    def _check_room(self, dataset: Dataset, config: TrainingConfig, count: int) -> None:
        fit = models_that_fit(dataset, config, self.engine)
        if fit is not None and fit < count:
            sizes = _sizes(dataset, config)
            needed = (sizes.common + count * sizes.of_a_model) / 2**30
            cure = f"train {fit} at a time, or" if fit else "train"
            raise EngineError(
                f"{count} models of {config.n_hidden} hidden units need {needed:.1f} GiB of device memory to train and "
                f"{fit} of them fit; {cure} on the processor with engine='cpu'"
            )

    def _rule(self, config: TrainingConfig) -> Any:
        from rbmscape.kernels.cuda.update import Rule

        longest = longest_gradient(config, self.train.shape[1], self.batch_size, self.n_chains)
        numbers = self.batch_size, self.n_chains, config.gibbs_steps
        return Rule(*numbers, method=config.method, **asdict(rule_of(config, longest)))

    def _schedule(self, config: TrainingConfig) -> list[tuple[float, float, float]]:
        """Step, square root of Adam's second correction, weight of the average, for each update."""
        rows = []
        for update in range(self.total_updates):
            rate = config.learning_rate * learning_rate_factor(config, update, self.total_updates)
            numbers = numbers_of(config, rate, update + 1, update + 1)
            rows.append((numbers.step, numbers.root, numbers.weight))
        return rows

    def advance(self, n_updates: int) -> None:
        """Queue some updates; nothing waits for the device."""
        from rbmscape.kernels.cuda.single import launching_on

        with launching_on(self.engine.device):
            while n_updates:
                epoch, batch = divmod(self.update, self.updates_per_epoch)
                if self._epoch != epoch:
                    self._begin_epoch(epoch, batch)
                now = min(n_updates, self.updates_per_epoch - batch)
                self.on_device.run(now)
                self.update += now
                n_updates -= now

    def _begin_epoch(self, epoch: int, batch: int) -> None:
        """The order of the rows, the numbers that chains are drawn with, and the rounded parameters."""
        update, draw = self.on_device, 2 * self.update * self.replicas[0].config.gibbs_steps
        orders = [replica.streams["shuffle"].numpy(epoch).permutation(len(self.train)) for replica in self.replicas]
        update.phases.order.copy_(torch.stack([torch.from_numpy(order) for order in orders]))
        update.phases.clock.copy_(torch.tensor([self.update, batch * self.batch_size]))
        update.states.numbers.copy_(self._numbers("chains", draw))
        if self._epoch is None:
            update.prepare()
        self._epoch = epoch

    def _numbers(self, purpose: str, draw: int) -> Tensor:
        """Rows of `rbmscape.kernels.cuda.models.States.numbers`."""
        from rbmscape.kernels.cuda import models

        return torch.tensor([models.numbers_of(replica.streams[purpose], draw) for replica in self.replicas])

    def restart(self, update: int) -> None:
        """Go on from parameters and chains that were put in place by hand."""
        self.update, self._epoch = update, None

    def close(self) -> None:
        """Let go of the replicas, which know the batch: its device memory is free once nobody holds them."""
        self.replicas.clear()

    def diverged(self) -> dict[int, DivergenceError]:
        """Place of each model that left the finite numbers, and what to say of it; waits for the device."""
        return {
            place: self.replicas[place].divergence(update)
            for place, update in enumerate(self.on_device.first_bad.tolist())
            if update <= self.update
        }


class Replica:
    """One model of a batch, as `rbmscape.training.session.Trained`."""

    def __init__(self, batch: Batch, place: int, config: TrainingConfig) -> None:
        self.config, self.engine, self.train = config, batch.engine, batch.train
        self.updates_per_epoch, self.total_updates = batch.updates_per_epoch, batch.total_updates
        self._batch, self._place = batch, place
        self.streams = {name: Stream(config.seed, f"training/{name}") for name in ("chains", "shuffle", "start")}
        start = initial_model(batch.train, config, torch.float32)
        for name, value in self._named(batch.on_device.parameters).items():
            value.copy_(getattr(start, name))
        batch.on_device.average[place].copy_(batch.on_device.parameters[place])
        self._v.copy_(first_chains(batch.train, self.streams["start"], batch.n_chains))

    def _named(self, rows: Tensor) -> dict[str, Tensor]:
        """Views of this model's part of rows of all parameters."""
        views = self._batch.on_device.views(rows)
        return {name: view[self._place] for name, view in zip(PARAMETER_NAMES, views, strict=True)}

    @property
    def _v(self) -> Tensor:
        return self._batch.on_device.states.visible[self._place]

    @property
    def update(self) -> int:
        """Finished parameter updates."""
        return self._batch.update

    @property
    def epoch(self) -> float:
        """Passes over the data so far."""
        return self.update / self.updates_per_epoch

    @property
    def chains(self) -> Tensor:
        """(n_chains, N) uint8 visible states of the negative phase."""
        return self._v.clone(memory_format=torch.contiguous_format)

    def model(self, averaged: bool = True) -> RBM:
        """Copy of the present model: averaged parameters where the recipe averages, else (or with False) the last."""
        update = self._batch.on_device
        return RBM(*self._named(update.average if averaged else update.parameters).values())

    def divergence(self, update: int) -> DivergenceError:
        """What to say when this model left the finite numbers."""
        largest = {name: float(x.abs().amax()) for name, x in self._named(self._batch.on_device.parameters).items()}
        name = max(largest, key=lambda one: math.inf if math.isnan(largest[one]) else largest[one])
        return DivergenceError(
            f"training diverged at update {update}: the largest |{name}| is {largest[name]:.3g}; lower the learning "
            f"rate (now {self.config.learning_rate:g}) or take more Gibbs steps"
        )

    def checkpoint(self) -> dict[str, Tensor]:
        """Tensors of a checkpoint: the reported model, and the last parameters as raw_* where they differ from it."""
        update = self._batch.on_device
        last = {name: value.clone() for name, value in self._named(update.parameters).items()}
        if not self.config.averaging:
            return last
        averages = {name: value.clone() for name, value in self._named(update.average).items()}
        return averages | {f"raw_{name}": value for name, value in last.items()}

    def rungs(self) -> list[dict[str, Tensor]]:
        """Nothing: the ladder of "ptt" is a trainer's own."""
        return []

    def reported_rung(self) -> dict[str, Tensor]:
        """Nothing, as above."""
        return {}

    def measured(self, test: Tensor) -> dict[str, Any]:  # noqa: ARG002
        """Nothing, as above."""
        return {}

    def _slots(self) -> dict[str, dict[str, Tensor]]:
        """What the optimiser carries: name of the slot to views by parameter."""
        on_device = self._batch.on_device
        names = CARRIED[on_device.rule.optimizer]
        return {name: self._named(rows) for name, rows in zip(names, on_device.slots, strict=False)}

    def state(self) -> dict[str, Tensor]:
        """Everything that the next update depends on, named as by `rbmscape.training.trainer.Trainer`."""
        update = self._batch.on_device
        tensors = {f"raw_{name}": value.clone() for name, value in self._named(update.parameters).items()}
        tensors["chains"] = self.chains
        if self.config.averaging:
            tensors |= {f"average_{name}": value.clone() for name, value in self._named(update.average).items()}
        if self.update:
            for number, name in enumerate(PARAMETER_NAMES):
                slots = {slot: views[name].clone() for slot, views in self._slots().items()}
                if self.config.optimizer in ("adam", "rmsprop"):
                    slots["step"] = torch.tensor(float(self.update))
                tensors |= {f"optimizer.{number}.{slot}": value for slot, value in slots.items()}
        return tensors

    def restore(self, tensors: dict[str, Tensor], update: int) -> None:
        """Go on from what `state` returned after ``update`` updates; all models of the batch from the same one."""
        on_device = self._batch.on_device
        for name, value in self._named(on_device.parameters).items():
            value.copy_(tensors[f"raw_{name}"])
        for name, value in self._named(on_device.average).items():
            value.copy_(tensors[f"average_{name}" if self.config.averaging else f"raw_{name}"])
        self._v.copy_(tensors["chains"])
        for slot, views in self._slots().items():
            for number, name in enumerate(PARAMETER_NAMES):
                if update:
                    views[name].copy_(tensors[f"optimizer.{number}.{slot}"])
        self._batch.restart(update)
