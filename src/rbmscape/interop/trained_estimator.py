"""What scikit-learn's estimators of this package have in common: parameters, their checks, and the training.

Names of parameters are those of ``sklearn.neural_network.BernoulliRBM`` and of ``rbmscape.TrainingConfig``.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from rbmscape.interop.bits import as_bits, as_dataset, is_binary
from rbmscape.kernels.select import ENGINES, PRECISIONS, select_engine
from rbmscape.model.rbm import RBM
from rbmscape.runs.config import TrainingConfig
from rbmscape.runs.optimizers import OPTIMIZERS
from rbmscape.training.trainer import Trainer

__all__ = ["TrainedEstimator"]

_AUTO = StrOptions({"auto"})
_MOST_DRAWS = 10
_FEWEST_CHAINS = 100


class TrainedEstimator(BaseEstimator):  # type: ignore[misc]
    """Parameters and training of `BernoulliRBM` and `RBMClassifier`."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [_AUTO, Interval(Real, 0, None, closed="neither")],
        "batch_size": [_AUTO, Interval(Integral, 1, None, closed="left")],
        "n_iter": [Interval(Integral, 0, None, closed="left")],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
        "method": [StrOptions({"pcd", "cd", "rdm"})],
        "gibbs_steps": [Interval(Integral, 1, None, closed="left")],
        "n_chains": [_AUTO, Interval(Integral, 1, None, closed="left")],
        "gradient": [StrOptions({"centered", "plain"})],
        "optimizer": [StrOptions(set(OPTIMIZERS))],
        "schedule": [StrOptions({"constant", "linear", "cosine"})],
        "averaging": [Interval(Integral, 0, None, closed="left")],
        "clip": [Interval(Real, 0, None, closed="left")],
        "l1": [Interval(Real, 0, None, closed="left")],
        "l2": [Interval(Real, 0, None, closed="left")],
        "engine": [StrOptions(set(ENGINES))],
        "precision": [StrOptions(set(PRECISIONS))],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_components: int = 256,
        *,
        learning_rate: float | str = "auto",
        batch_size: int | str = "auto",
        n_iter: int = 10,
        verbose: int = 0,
        random_state: Any = None,
        method: str = "pcd",
        gibbs_steps: int = 10,
        n_chains: int | str = "auto",
        gradient: str = "centered",
        optimizer: str = "sgd",
        schedule: str = "linear",
        averaging: int = 300,
        clip: float = 0.25,
        l1: float = 0.0,
        l2: float = 0.0,
        engine: str = "auto",
        precision: str = "auto",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
    ) -> None:
        self.n_components = n_components
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.n_iter = n_iter
        self.verbose = verbose
        self.random_state = random_state
        self.method = method
        self.gibbs_steps = gibbs_steps
        self.n_chains = n_chains
        self.gradient = gradient
        self.optimizer = optimizer
        self.schedule = schedule
        self.averaging = averaging
        self.clip = clip
        self.l1 = l1
        self.l2 = l2
        self.engine = engine
        self.precision = precision
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change

    def _fit_rows(self, X: Any, codes: NDArray[np.uint8] | None = None) -> None:
        """Train on rows, and on the class units that go with them, from new parameters."""
        self._begin(X.dtype)
        draws = np.random.default_rng(self._seed)
        held, rows = self._split(X.shape[0], draws)
        n_draws = 1 if is_binary(X) else max(1, min(self.n_iter, _MOST_DRAWS))
        bits = as_bits(X[rows], draws, n_draws)
        shown, aside = X, X[held]
        if codes is not None:
            bits = np.hstack([bits, np.tile(codes[rows], (len(bits) // len(rows), 1))])
            shown, aside = (X, codes), (X[held], codes[held])
        trainer = self._trainer(bits, self._config(len(rows), epochs=max(1, self.n_iter), seed=self._seed))
        self._passes(trainer, trainer.config.updates_per_epoch(len(rows)), shown, aside if len(held) else None)

    def _split(self, n_rows: int, draws: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows that are kept aside, and those that are trained on."""
        order = draws.permutation(n_rows)
        n_held = min(n_rows - 1, max(1, round(self.validation_fraction * n_rows))) if self.early_stopping else 0
        return np.sort(order[:n_held]), np.sort(order[n_held:])

    def _config(self, n_rows: int, *, epochs: int, seed: int) -> TrainingConfig:
        """The recipe for so many rows, with what is "auto" filled in."""
        batch = int(_given(self.batch_size, min(500, max(10, n_rows // 20))))
        rate = float(_given(self.learning_rate, OPTIMIZERS[self.optimizer].learning_rate))
        chains = int(_given(self.n_chains, max(_FEWEST_CHAINS, batch)))
        return TrainingConfig(
            n_hidden=int(self.n_components), method=self.method, gibbs_steps=int(self.gibbs_steps), n_chains=chains,
            epochs=epochs, batch_size=batch, gradient=self.gradient, optimizer=self.optimizer,
            learning_rate=rate, schedule=self.schedule, averaging=int(self.averaging), clip=float(self.clip),
            l1=float(self.l1), l2=float(self.l2), seed=seed,
        )  # fmt: skip

    def _trainer(self, bits: NDArray[np.uint8], config: TrainingConfig) -> Trainer:
        return Trainer(as_dataset(bits), config, select_engine(self.engine, self.precision))

    def _begin(self, dtype: Any) -> None:
        """Forget a former fit."""
        self.random_state_ = check_random_state(self.random_state)
        self._seed = int(self.random_state_.randint(2**31 - 1))
        self._dtype = dtype
        self._state: dict[str, NDArray[Any]] | None = None
        self._n_features_out = self.n_components
        self.n_iter_ = 0

    def _passes(self, trainer: Trainer, updates: int, shown: Any, held: Any) -> None:
        """All passes over the data, and the report of each."""
        best, best_score, waited = None, -np.inf, 0
        began = time.perf_counter()
        for number in range(1, self.n_iter + 1):
            while trainer.update < min(number * updates, trainer.total_updates):
                trainer.step()
            self.n_iter_ = number
            if self.verbose:
                self._take(trainer)
                now = time.perf_counter()
                self._say(number, self._shown_score(shown), now - began)
                began = now
            if held is None:
                continue
            self._take(trainer)
            score = self._held_out_score(held)
            best, best_score, waited = (
                (trainer.model(), score, 0) if score > best_score else (best, best_score, waited + 1)
            )
            if waited >= self.n_iter_no_change:
                break
        self._take(trainer, best)

    def _say(self, number: int, score: float, seconds: float) -> None:
        name = type(self).__name__
        print(f"[{name}] Iteration {number}, {self._score_name} = {score:.2f}, time = {seconds:.2f}s")  # noqa: T201

    _score_name: ClassVar[str]

    @abstractmethod
    def _shown_score(self, shown: Any) -> float:
        """What `verbose` prints, of the rows that are trained on."""

    @abstractmethod
    def _held_out_score(self, held: Any) -> float:
        """What early stopping watches, of rows kept aside."""

    @abstractmethod
    def _keep(self, rbm: RBM, dtype: Any) -> None:
        """Parameters of a model as attributes."""

    def _take(self, trainer: Trainer, model: RBM | None = None) -> None:
        """Attributes from the trainer's present model, or from another one."""
        dtype = self._dtype
        self._keep(trainer.model() if model is None else model, dtype)
        hidden = trainer.model(averaged=False).hidden_probability(trainer.chains).cpu().numpy()
        self.h_samples_ = (self.random_state_.uniform(size=hidden.shape) < hidden).astype(dtype)


def _given(value: Any, otherwise: float) -> Any:
    """A value, or what "auto" stands for."""
    return otherwise if value == "auto" else value
