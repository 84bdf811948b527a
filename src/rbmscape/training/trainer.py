"""One parameter update after the other (arXiv:2503.21536, section 2, equation 13), all of its state in plain sight.

The trainer holds parameters, their running average, the optimiser and the Markov chains; `state` and `restore` move all
of it to and from named tensors.  Shuffles, initial weights and chains draw from counters (seed, purpose, number), so
there is no generator whose state could be lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from rbmscape.data.dataset import Dataset
from rbmscape.errors import DivergenceError, LadderStalledError
from rbmscape.kernels.interface import Engine, Gradient, Parameters
from rbmscape.model.rbm import PARAMETER_NAMES, RBM
from rbmscape.rng import Stream
from rbmscape.runs.config import TrainingConfig
from rbmscape.runs.optimizers import OPTIMIZERS
from rbmscape.runs.schedule import averaging_weight, learning_rate_factor
from rbmscape.training.beginning import Beginning
from rbmscape.training.gradient import center
from rbmscape.training.initial import first_chains, initial_model, longest_gradient
from rbmscape.training.ladder.control import Action
from rbmscape.training.ladder.follower import Follower, Step, Thresholds
from rbmscape.training.ladder.store import model_tensors, reported_tensors
from rbmscape.training.rows import Rows, training_rows

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

    Attributes
    ----------
    update : finished parameter updates
    updates_per_epoch, total_updates : length of an epoch and of the whole training
    """

    def __init__(
        self, dataset: Dataset, config: TrainingConfig, engine: Engine, begin: Beginning | None = None
    ) -> None:
        self.config, self.engine = config, engine
        self.update = 0
        device, dtype = engine.device, torch.float64 if engine.precision == "fp64" else torch.float32
        self.train: Rows = training_rows(dataset.train, device)
        n_train, n_visible = self.train.shape
        self.batch_size = min(config.batch_size, n_train)
        self.n_chains = self.batch_size if config.method == "cd" else config.n_chains
        self.updates_per_epoch = config.updates_per_epoch(n_train)
        self.total_updates = config.epochs * self.updates_per_epoch
        self._streams = {name: Stream(config.seed, f"training/{name}") for name in ("chains", "shuffle", "start")}
        start = initial_model(self.train, config, dtype) if begin is None else begin.model.to(device, dtype)
        self._parameters = {name: getattr(start, name).clone() for name in PARAMETER_NAMES}
        self._average = {name: value.clone() for name, value in self._parameters.items()} if config.averaging else None
        self._optimizer = self._make_optimizer()
        self._longest = longest_gradient(config, n_visible, self.batch_size, self.n_chains)
        self._gradient = Gradient.empty(n_visible, config.n_hidden, dtype, device)
        self._visible_offset = self.train.sum(0, dtype=torch.int64).to(dtype) / n_train
        self._sampler = engine.bind(self._present, self.n_chains)
        self._phases = self._sampler.gradient(self.batch_size)
        self._order: tuple[int, Tensor] | None = None
        known = None if begin is None else begin.first_chains(self.n_chains)
        chains = first_chains(self.train, self._streams["start"], self.n_chains) if known is None else known
        self._sampler.v.copy_(chains)
        self._follower = self._make_follower(start) if config.method == "ptt" else None
        self._safe_average = None if self._follower is None or self._average is None else _copies(self._average)

    def _make_follower(self, start: RBM) -> Follower:
        """The ladder of training in equilibrium, with its lowest rung; the chains start there."""
        config = self.config
        thresholds = Thresholds(config.freeze_below, config.reject_below)
        reservoir = config.reservoir or RESERVOIR_CHAINS * self.n_chains
        follower = Follower(
            self.engine.annealer(), start, self.chains, reservoir, self.train[:], thresholds, config.seed
        )
        self._sampler.v.copy_(follower.first_chains())
        return follower

    def _make_optimizer(self) -> torch.optim.Optimizer:
        config = self.config
        return OPTIMIZERS[config.optimizer].make(list(self._parameters.values()), config)

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
        return self._sampler.v.to(torch.uint8)

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
        epoch, batch = divmod(self.update, self.updates_per_epoch)
        rows = self._shuffled(epoch)[batch * self.batch_size : (batch + 1) * self.batch_size]
        data = self.train.index_select(0, rows)
        self._sample_negative_phase(data)
        hidden_offset = self._phases.compute(data, self._gradient)
        self._penalise()
        if self.config.gradient == "centered":
            center(self._gradient, self._visible_offset, hidden_offset)
        self._apply_gradient()
        self.update += 1
        self._update_average()
        self._sampler.update(self._present)

    def _shuffled(self, epoch: int) -> Tensor:
        """Order of the training rows in one epoch."""
        if self._order is None or self._order[0] != epoch:
            order = torch.from_numpy(self._streams["shuffle"].numpy(epoch).permutation(len(self.train)))
            self._order = epoch, order.to(self.train.device)
        return self._order[1]

    def _sample_negative_phase(self, data: Tensor) -> None:
        """K block Gibbs steps from where the method starts them."""
        if self._follower is not None:
            self._follow(self._follower)
        steps, sampler, chains = self.config.gibbs_steps, self._sampler, self._streams["chains"]
        first = self.update * steps
        if self.config.method == "cd":
            sampler.v.copy_(data)
        elif self.config.method == "rdm":
            sampler.sample_hidden(self._streams["start"], self.update, beta=0.0)
            sampler.sample_visible(chains, 2 * first + 1)
            first, steps = first + 1, steps - 1
        sampler.sweep(chains, first, steps)

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
        self._optimizer.state.clear()
        self._sampler.update(self._present)
        if follower.rate.stalled:
            raise LadderStalledError(
                f"training stalled at update {self.update}: after {follower.rate.halvings} rejections in a row "
                f"({'; '.join(step.reasons)}) the model of update {follower.ladder.top.update} is the last one that "
                "its ladder could follow, and is kept; train with a lower learning_rate, more n_chains or more "
                "gibbs_steps"
            )

    def _penalise(self) -> None:
        """Slope of -l1 Σ|W| - (l2/2) Σ W², part of ∂W before the biases are centred, which moves them with the weights.

        Without its share in the biases a penalty would shift the point where training ends: the model's means would
        miss those of the data by l2 W λ.
        """
        weights = self._parameters["weights"]
        if self.config.l1:
            self._gradient.weights.add_(weights.sign(), alpha=-self.config.l1)
        if self.config.l2:
            self._gradient.weights.add_(weights, alpha=-self.config.l2)

    def _apply_gradient(self) -> None:
        """Clipping, learning rate and the optimiser's step (equation 13)."""
        factor = -self._shortening()
        for value, ascent in zip(self._parameters.values(), self._gradient.tensors, strict=True):
            value.grad = ascent.mul_(factor)
        rate = self.config.learning_rate * learning_rate_factor(self.config, self.update, self.total_updates)
        if self._follower is not None:
            rate *= self._follower.rate.factor
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        self._check_finite()

    def _shortening(self) -> float:
        """What clipping multiplies the gradient by."""
        length = float(torch.nn.utils.get_total_norm(self._gradient.tensors)) if self.config.clip else 0.0
        return self._longest / length if length > self._longest else 1.0

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

    def _update_average(self) -> None:
        if self._average is None:
            return
        weight = averaging_weight(self.config.averaging, self.update)
        for name, value in self._parameters.items():
            self._average[name].lerp_(value, weight)

    def checkpoint(self) -> dict[str, Tensor]:
        """Tensors of a checkpoint: the reported model, and the last parameters as raw_* where they differ from it."""
        if self._average is None:
            return dict(self._parameters)
        return self._average | {f"raw_{name}": value for name, value in self._parameters.items()}

    def state(self) -> dict[str, Tensor]:
        """Everything that the next update depends on."""
        tensors = {f"raw_{name}": value for name, value in self._parameters.items()} | {"chains": self.chains}
        if self._average is not None:
            tensors |= {f"average_{name}": value for name, value in self._average.items()}
        if self._follower is not None:
            tensors |= self._follower.state()
            tensors |= {f"safe_{name}": value for name, value in (self._safe_average or {}).items()}
        for number, slots in self._optimizer.state_dict()["state"].items():
            tensors |= {
                f"optimizer.{number}.{slot}": value for slot, value in slots.items() if isinstance(value, Tensor)
            }
        return tensors

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
        self.update = update
        for name, value in self._parameters.items():
            value.copy_(tensors[f"raw_{name}"])
            if self._average is not None:
                self._average[name].copy_(tensors[f"average_{name}"])
        self._sampler.v.copy_(tensors["chains"])
        if self._follower is not None:
            self._follower.restore(tensors, rungs)
            if self._safe_average is not None:
                self._safe_average = {name: tensors[f"safe_{name}"] for name in PARAMETER_NAMES}
        slots: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, number, slot = name.split(".", 2)
                slots.setdefault(int(number), {})[slot] = value
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": slots, "param_groups": groups})
        self._sampler.update(self._present)


def _copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in tensors.items()}
