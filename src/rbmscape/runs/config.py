"""How a run is trained: the choices of section 2 of arXiv:2503.21536 and common ones beside them, checked at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from rbmscape.arguments import checked
from rbmscape.kernels.select import ENGINES, PRECISIONS
from rbmscape.recipe import Recipe
from rbmscape.runs.optimizers import OPTIMIZERS, OptimizerName

__all__ = ["TrainingConfig", "recorded_config"]

PositiveInt = Annotated[int, Field(strict=True, ge=1)]
NonNegativeInt = Annotated[int, Field(strict=True, ge=0)]
Epochs = Annotated[int, Field(strict=True, ge=0, le=10**8)]
Checkpoints = Annotated[int, Field(strict=True, ge=0, le=10**5)]
NonNegative = Annotated[float, Field(strict=True, ge=0.0, allow_inf_nan=False)]
Positive = Annotated[float, Field(strict=True, gt=0.0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(strict=True, ge=0.0, le=1.0)]
BelowOne = Annotated[float, Field(strict=True, ge=0.0, lt=1.0)]
Share = Annotated[float, Field(strict=True, gt=0.0, lt=1.0)]
Flag = Annotated[bool, Field(strict=True)]
if TYPE_CHECKING:
    from rbmscape.data.dataset import Dataset

    EngineName = str
    PrecisionName = str
else:
    EngineName, PrecisionName = Literal[ENGINES], Literal[PRECISIONS]

_RATES = ", ".join(f"{rule.learning_rate:g} for {name}" for name, rule in OPTIMIZERS.items())
_MOMENTA = ", ".join(f"{rule.momentum:g} for {name}" for name, rule in OPTIMIZERS.items() if rule.momentum)


def _usual_momentum(values: Mapping[str, Any]) -> float:
    """The momentum of the optimiser, 0 where it takes none."""
    return OPTIMIZERS[values.get("optimizer", "sgd")].momentum or 0.0


def _usual_rate(values: Mapping[str, Any]) -> float:
    """The step size of the optimiser; with "ptt" an eighth of it, since the ladder has to follow."""
    rate = OPTIMIZERS[values.get("optimizer", "sgd")].learning_rate
    return rate / 8.0 if values.get("method") == "ptt" else rate


def _option(group: str, description: str, default: Any, **more: Any) -> Any:
    """A value with one sentence that serves the docstring and the command line.

    Parameters
    ----------
    group : heading under which the command line lists it
    description : the sentence
    default : the value when none is given, or a function of the values before it
    """
    more |= {"default_factory": default} if callable(default) else {"default": default}
    return Field(description=description, json_schema_extra={"group": group}, **more)


FEWEST_PTT_CHAINS = 20
_PTT = ("reservoir", "freeze_below", "reject_below")
_MODEL, _OPTIMISATION, _RUN = "Model and sampling", "Optimisation", "Run"


class TrainingConfig(Recipe):
    """A training recipe; immutable, and refused when a key is unknown or a value impossible.

    A value that is not given follows the others, also after `replace`: the step size and the momentum are those of the
    optimiser.

    {parameters}

    Raises
    ------
    ConfigError : an unknown key (with the nearest valid one) or a value out of range
    """

    title = "the training configuration"

    n_hidden: PositiveInt = _option(_MODEL, "The hidden layer has this many units, M.", 500)
    method: Literal["pcd", "cd", "rdm", "ptt"] = _option(
        _MODEL,
        "The negative phase starts from persistent chains (pcd, the first ones from data), from the minibatch (cd), "
        "from fresh Bernoulli(1/2) states at every update (rdm), or from chains in equilibrium by tempering along "
        "the training, which measures the log-likelihood at every checkpoint (ptt).",
        "pcd",
    )
    gibbs_steps: PositiveInt = _option(_MODEL, "An update makes this many block Gibbs steps, K.", 10)
    n_chains: PositiveInt = _option(
        _MODEL, "This many Markov chains run with pcd, rdm and ptt; cd has as many as the minibatch has samples.", 500
    )
    visible_bias_init: Literal["data", "zeros", "normal"] = _option(
        _MODEL,
        "The visible biases start as the logit of the smoothed means of the data, as zeros, or as normal numbers "
        "with the standard deviation of the weights.",
        "data",
    )
    weight_std: NonNegative = _option(_MODEL, "The first weights have this standard deviation.", 0.01)
    engine: EngineName = _option(_MODEL, "This engine samples; auto takes the fastest that the machine has.", "auto")
    precision: PrecisionName = _option(
        _MODEL, "The matrix products of the sampling have this precision; auto takes the fastest.", "auto"
    )
    epochs: Epochs = _option(_OPTIMISATION, "Training passes over the data this many times.", 50)
    batch_size: PositiveInt = _option(
        _OPTIMISATION,
        "A minibatch has this many samples; smaller data are one batch, and an incomplete last batch is left out.",
        500,
    )
    gradient: Literal["centered", "plain"] = _option(
        _OPTIMISATION,
        "The gradient is centered (its offsets are the data means of both layers) or plain (equation 6).",
        "centered",
    )
    optimizer: OptimizerName = _option(_OPTIMISATION, "This update rule of torch.optim moves the parameters.", "sgd")
    learning_rate: Positive = _option(
        _OPTIMISATION,
        f"Steps have this size, η of equation 13; if it is not given it follows the optimizer: {_RATES}; "
        "with ptt an eighth of that, and the largest that its controller uses.",
        _usual_rate,
    )
    momentum: BelowOne = _option(
        _OPTIMISATION,
        "This share of the last step is added to the next one by sgd and nesterov; if it is not given it follows the "
        f"optimizer: {_MOMENTA}, else none.",
        _usual_momentum,
    )
    adam_betas: tuple[BelowOne, BelowOne] = _option(
        _OPTIMISATION,
        "Adam's averages of the gradient and of its square decay at these two rates.",
        (0.9, 0.999),
        examples=["0.9,0.999"],
    )
    clip: NonNegative = _option(
        _OPTIMISATION,
        "Gradients longer than this times √(N M (1/B + 1/C)), with B samples and C chains, are shortened to that; "
        "twice this bounds the length of what is noise in them, and at 0 nothing is clipped.",
        0.25,
    )
    warmup: NonNegativeInt = _option(
        _OPTIMISATION, "The step size grows from nearly zero to its full value over this many updates.", 0
    )
    schedule: Literal["constant", "linear", "cosine"] = _option(
        _OPTIMISATION, "The step size stays constant, or decays to zero along a line or half a cosine.", "linear"
    )
    decay_start: Fraction = _option(_OPTIMISATION, "The decay starts after this fraction of training.", 0.5)
    l1: NonNegative = _option(_OPTIMISATION, "The penalty l1 Σ|W| on the weights has this strength.", 0.0)
    l2: NonNegative = _option(_OPTIMISATION, "The penalty (l2/2) Σ W² on the weights has this strength.", 0.0)
    averaging: NonNegativeInt = _option(
        _OPTIMISATION,
        "Checkpoints hold parameters that are averaged exponentially over this many updates, or the last ones at 0; "
        "the window grows as one tenth of the updates done, so that early averages do not lag behind.",
        300,
    )
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**64)] = _option(
        _RUN, "Everything random in the run follows from this seed.", 0
    )
    online_likelihood: Flag = _option(
        _RUN,
        "Checkpoints get a running log-likelihood: ln Z is carried along with the chains of pcd and judged by "
        "annealing (0.5 s of processor time each at M = 500).",
        False,
    )
    reservoir: NonNegativeInt = _option(
        _MODEL, "The newest frozen model of ptt keeps this many states; 0 stands for ten times n_chains.", 0
    )
    freeze_below: Share = _option(
        _MODEL, "The present model of ptt is frozen when the mean acceptance of its exchanges falls below this.", 0.3
    )
    reject_below: Share = _option(
        _MODEL, "The present model of ptt is taken back when the mean acceptance falls below this.", 0.1
    )
    patience: NonNegativeInt = _option(
        _RUN,
        "Training ends when the likelihood of held-out data has not risen beyond its error for this many checkpoints "
        "after the first epoch; 0 trains all epochs.",
        0,
    )
    early_checkpoints: Checkpoints = _option(
        _RUN, "The first epoch has checkpoints at about this many log-spaced updates.", 14
    )
    checkpoint_epochs: tuple[PositiveInt, ...] | None = _option(
        _RUN,
        "Checkpoints are kept after these epochs and the last; by default after 1, 2, 3, 4, 6, 8, 11 and so on, each "
        "√2 times the one before.",
        None,
        examples=["1,5,20"],
    )

    @model_validator(mode="after")
    def _values_fit(self) -> Self:
        late = [epoch for epoch in self.checkpoint_epochs or () if epoch > self.epochs]
        if late:
            raise ValueError(f"epoch {late[0]} is after the last one, {self.epochs}; choose epochs within training")
        if OPTIMIZERS[self.optimizer].momentum and not self.momentum:
            raise ValueError(
                f"optimizer {self.optimizer!r} needs a momentum above 0, found {self.momentum}; leave it out for "
                f"{OPTIMIZERS[self.optimizer].momentum}, or choose 'sgd'"
            )
        if OPTIMIZERS[self.optimizer].momentum is None and self.momentum:
            able = " or ".join(repr(name) for name, rule in OPTIMIZERS.items() if rule.momentum is not None)
            raise ValueError(
                f"optimizer {self.optimizer!r} takes no momentum, found {self.momentum}; leave it out, or choose {able}"
            )
        if self.online_likelihood and self.method != "pcd":
            raise ValueError(
                f"online_likelihood needs the persistent chains of method 'pcd', found {self.method!r}; "
                + (
                    "'ptt' measures the likelihood anyway, leave it out"
                    if self.method == "ptt"
                    else "leave it out and use likelihood_bracket afterwards"
                )
            )
        return self

    @model_validator(mode="after")
    def _patience_can_see(self) -> Self:
        if self.patience and self.method != "ptt" and not self.online_likelihood:
            raise ValueError(
                f"patience needs a likelihood at every checkpoint, found method {self.method!r}; take method 'ptt' or "
                "online_likelihood, or leave patience out"
            )
        return self

    @model_validator(mode="after")
    def _ladder_can_stand(self) -> Self:
        changed = [name for name in _PTT if getattr(self, name) != type(self).model_fields[name].default]
        if self.method != "ptt" and changed:
            raise ValueError(f"{changed[0]} belongs to method 'ptt', found {self.method!r}; leave it out")
        if not self.reject_below < self.freeze_below:
            raise ValueError(
                f"reject_below must lie below freeze_below, found {self.reject_below} and {self.freeze_below}; "
                "0.1 and 0.3 are usual"
            )
        if self.method == "ptt" and self.n_chains < FEWEST_PTT_CHAINS:
            raise ValueError(
                f"method 'ptt' needs at least {FEWEST_PTT_CHAINS} chains for its errors, found n_chains={self.n_chains}"
            )
        if self.method == "ptt" and 0 < self.reservoir < self.n_chains:
            raise ValueError(
                f"reservoir must hold at least as many states as there are chains ({self.n_chains}), found "
                f"{self.reservoir}; leave it out for ten times as many"
            )
        return self

    @classmethod
    def recommended(cls, data: Dataset | None = None, **changes: Any) -> TrainingConfig:
        """The default recipe; `benchmarks/recipes.py` measures its test log-likelihood beside that of alternatives.

        Persistent chains, centred gradient, SGD at 0.8 with linear decay from half-way, gradients clipped, parameters
        averaged over 300 updates.  Keyword arguments replace single values.

        For the given data, of fewer than 20 000 rows, hidden units, minibatch, chains, epochs, rate, penalty and method
        follow from them (`rbmscape.runs.from_data`); `train` without a recipe and the command line take these.

        The clipping is what allows such a rate: in the first epoch the gradient is large and the chains lag behind, so
        that without it the largest singular value overshoots to 130 (M = 500) before it comes down to 10.  Half as many
        Gibbs steps and a third more epochs give as good a likelihood in the same time.
        """
        if data is None:
            return cls(**changes)
        from rbmscape.runs.from_data import values_for

        return cls(**(values_for(data, changes, cls.model_fields["epochs"].default) | changes))

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
            "clip": 0.0,
            "schedule": "constant",
            "averaging": 0,
        }
        return cls(**(recipe | changes))

    def replace(self, **changes: Any) -> TrainingConfig:
        """Copy with some values changed, checked again; what was not given follows the changes.

        ``TrainingConfig.recommended().replace(optimizer="adam")`` takes the usual step of Adam.
        """
        return TrainingConfig(**(self.model_dump(exclude_unset=True) | changes))

    @classmethod
    @checked
    def from_mapping(cls, values: Mapping[str, Any]) -> TrainingConfig:
        """From parsed JSON or TOML.

        Raises
        ------
        ConfigError : an unknown key or a value out of range
        """
        return cls(**dict(values))

    @checked
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

    @checked
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

    A record holds every value.  One that is what the other values imply counts as not given, so that it follows them
    in `TrainingConfig.replace`.

    Raises
    ------
    ConfigError : an unknown key or a value out of range
    """
    known = {"clip": 0.0} | dict(values)
    rule = OPTIMIZERS.get(str(known.get("optimizer")))
    if rule is not None and rule.momentum is None:
        known.pop("momentum", None)  # older recipes could hold one that nothing read
    full = TrainingConfig.from_mapping(known)
    implied = {name for name in full.derived() if getattr(full, name) == full.default_of(name)}
    return TrainingConfig(**{name: value for name, value in full if name not in implied})
