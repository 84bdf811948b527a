"""How a run is trained: the choices of section 2 of arXiv:2503.21536 and common ones beside them, checked at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from rbmscape.recipe import Recipe

__all__ = ["TrainingConfig", "recorded_config"]

PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
NonNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


def _usual_rate(values: Mapping[str, Any]) -> float:
    """The best step measured for clipped SGD (`benchmarks/recipes.py`); for Adam the usual one."""
    return 1e-3 if values.get("optimizer") == "adam" else 0.8


class TrainingConfig(Recipe):
    """A training recipe; immutable, and refused when a key is unknown or a value impossible.

    Parameters
    ----------
    n_hidden : hidden units M
    method : negative phase: "pcd" (persistent chains, the first from data), "cd" (chains start at the minibatch),
        "rdm" (fresh Bernoulli(1/2) states at every update)
    gibbs_steps : K block Gibbs steps an update
    epochs : passes over the training data
    batch_size : samples a minibatch; a smaller data set is one batch; an incomplete last batch is left out
    n_chains : Markov chains of "pcd" and "rdm"; "cd" has as many as the minibatch
    gradient : "centered" (offsets: data means of both layers) or "plain" (equation 6)
    optimizer : "sgd" or "adam" of torch.optim
    learning_rate : η of equation 13, or Adam's step; by default 0.8 for "sgd" and 0.001 for "adam"
    momentum : of SGD
    adam_betas : Adam's two decay rates
    clip : gradients longer than this times √(N M (1/B + 1/C)), B samples and C chains, are shortened to that; twice
        this bounds the length of what is noise in them.  Nothing is clipped at 0.
    warmup : updates over which the learning rate grows from nearly zero
    schedule : "constant", or "linear" or "cosine" decay to zero from ``decay_start`` on
    decay_start : fraction of training after which the schedule decays
    l1, l2 : strengths of the penalties l1 Σ|W| and (l2/2) Σ W² on the weights
    averaging : updates over which parameters are averaged exponentially; 0 averages nothing.  The window grows as one
        tenth of the updates done until it reaches this length, so that early averages do not lag behind.
    visible_bias_init : "data" (logit of the smoothed pixel means), "zeros", or "normal" (Normal(0, weight_std²))
    weight_std : standard deviation of the initial weights
    seed : of everything random in the run
    engine, precision : of the sampling; "auto" picks the fastest that the machine has
    early_checkpoints : checkpoints at about this many log-spaced updates within the first epoch
    online_likelihood : carry ln Z from checkpoint to checkpoint with the chains of "pcd" and write the log-likelihood
        beside the other metrics (0.3 s of processor time a checkpoint at M = 500)
    checkpoint_epochs : epochs with a checkpoint; by default 1, 2, 3, 4, 6, 8, 11, … (a factor √2) and the last

    Raises
    ------
    ConfigError : an unknown key (with the nearest valid one) or a value out of range
    """

    title = "the training configuration"

    n_hidden: PositiveInt = 500
    method: Literal["pcd", "cd", "rdm"] = "pcd"
    gibbs_steps: PositiveInt = 10
    epochs: NonNegativeInt = 50
    batch_size: PositiveInt = 500
    n_chains: PositiveInt = 500
    gradient: Literal["centered", "plain"] = "centered"
    optimizer: Literal["sgd", "adam"] = "sgd"
    learning_rate: Positive = Field(default_factory=_usual_rate)
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    adam_betas: tuple[Annotated[float, Field(ge=0.0, lt=1.0)], Annotated[float, Field(ge=0.0, lt=1.0)]] = (0.9, 0.999)
    clip: NonNegative = 0.25
    warmup: NonNegativeInt = 0
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    decay_start: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    l1: NonNegative = 0.0
    l2: NonNegative = 0.0
    averaging: NonNegativeInt = 300
    visible_bias_init: Literal["data", "zeros", "normal"] = "data"
    weight_std: NonNegative = 0.01
    seed: Annotated[int, Field(ge=0, lt=2**64)] = 0
    engine: Literal["auto", "reference", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "fixed", "fp32", "bf16", "fp64"] = "auto"
    online_likelihood: bool = False
    early_checkpoints: NonNegativeInt = 14
    checkpoint_epochs: tuple[PositiveInt, ...] | None = None

    @model_validator(mode="after")
    def _epochs_exist(self) -> Self:
        late = [epoch for epoch in self.checkpoint_epochs or () if epoch > self.epochs]
        if late:
            raise ValueError(f"epoch {late[0]} is after the last one, {self.epochs}; choose epochs within training")
        if self.online_likelihood and self.method != "pcd":
            raise ValueError(
                f"online_likelihood needs the persistent chains of method 'pcd', found {self.method!r}; "
                "leave it out and use likelihood_bracket afterwards"
            )
        return self

    @classmethod
    def recommended(cls, **changes: Any) -> TrainingConfig:
        """The default recipe; `benchmarks/recipes.py` measures its test log-likelihood beside that of alternatives.

        Persistent chains, centred gradient, SGD at 0.8 with linear decay from half-way, gradients clipped, parameters
        averaged over 300 updates.  Keyword arguments replace single values.

        The clipping is what allows such a rate: in the first epoch the gradient is large and the chains lag behind, so
        that without it the largest singular value overshoots to 130 (M = 500) before it comes down to 10.  Half as many
        Gibbs steps and a third more epochs give as good a likelihood in the same time.
        """
        return cls(**changes)

    @classmethod
    def paper(cls, **changes: Any) -> TrainingConfig:
        """The paper's recipe: plain gradient, Adam at 1e-3, PCD with 500 Gibbs steps, 100 epochs, batches of 500.

        Keyword arguments replace single values; ``gibbs_steps=10`` trains 50 times faster.
        """
        recipe: dict[str, Any] = {
            "gibbs_steps": 500,
            "epochs": 100,
            "gradient": "plain",
            "optimizer": "adam",
            "learning_rate": 1e-3,
            "clip": 0.0,
            "schedule": "constant",
            "averaging": 0,
        }
        return cls(**(recipe | changes))

    def replace(self, **changes: Any) -> TrainingConfig:
        """Copy with some values changed, checked again."""
        return TrainingConfig(**(self.model_dump() | changes))

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> TrainingConfig:
        """From parsed JSON or TOML.

        Raises
        ------
        ConfigError : an unknown key or a value out of range
        """
        return cls(**dict(values))

    def updates_per_epoch(self, n_train: int) -> int:
        """Parameter updates in one pass over ``n_train`` samples; what does not fill a last minibatch is left out."""
        return max(1, n_train // self.batch_size)

    def epochs_with_checkpoint(self) -> tuple[int, ...]:
        """Epochs after which a checkpoint is kept: the chosen ones and always the last."""
        if self.epochs == 0:
            return ()
        chosen = self.checkpoint_epochs
        if chosen is None:
            count = 2 * max(1, math.ceil(math.log2(self.epochs + 1))) + 1
            chosen = tuple(epoch for k in range(count) if (epoch := round(math.sqrt(2.0) ** k)) <= self.epochs)
        return tuple(sorted({*chosen, self.epochs}))

    def checkpoint_updates(self, updates_per_epoch: int) -> tuple[int, ...]:
        """Updates after which a checkpoint is kept: 0, log-spaced ones in the first epoch, and the chosen epochs."""
        last_early = min(updates_per_epoch, self.epochs * updates_per_epoch)
        early = {0}
        if self.early_checkpoints > 0 and last_early > 0:
            ratio = math.log(max(2, last_early)) / self.early_checkpoints
            early |= {min(last_early, round(math.exp(ratio * k))) for k in range(self.early_checkpoints + 1)}
        return tuple(sorted(early | {epoch * updates_per_epoch for epoch in self.epochs_with_checkpoint()}))


def recorded_config(values: Mapping[str, Any]) -> TrainingConfig:
    """The recipe in a run's record; choices that are younger than the record have the value that they had before.

    Raises
    ------
    ConfigError : an unknown key or a value out of range
    """
    return TrainingConfig.from_mapping({"clip": 0.0} | dict(values))
