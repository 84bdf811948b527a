"""A drop-in for scikit-learn's ``BernoulliRBM`` on this package's training, sampling and likelihoods.

Names of parameters, attributes and methods are scikit-learn's, so that changing the import is enough; what it lacks
stands beside them.  Energies and conditionals are those of arXiv:2503.21536, equations 3, 10 and 11.
"""

from __future__ import annotations

import time
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted, validate_data

from rbmscape.interop.bits import as_bits, as_dataset, is_binary
from rbmscape.kernels.select import ENGINES, PRECISIONS, select_engine
from rbmscape.likelihood.estimate import LogPartition, log_partition
from rbmscape.model.rbm import RBM
from rbmscape.runs.config import TrainingConfig
from rbmscape.runs.optimizers import OPTIMIZERS
from rbmscape.training.trainer import Trainer

__all__ = ["BernoulliRBM"]

_AUTO = StrOptions({"auto"})
_MOST_DRAWS = 10
_FEWEST_CHAINS = 100
_ROWS_AT_ONCE = 8192
_MOST_HELD = 1000
_FLIPS = 32


class BernoulliRBM(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    r"""Restricted Boltzmann Machine with the interface of ``sklearn.neural_network.BernoulliRBM``.

    ``p(v, h) ∝ exp(a·v + b·h + vᵀ W h)``, trained by stochastic ascent of the mean log-likelihood.  What is "auto"
    follows the recommended recipe and the data; what is given is used as it is.

    Parameters
    ----------
    n_components : hidden units
    learning_rate : step size; "auto" is that of the optimizer in ``rbmscape.TrainingConfig``, 0.8 for "sgd"
    batch_size : samples of a minibatch; "auto" is a twentieth of the rows, at least 10 and at most 500
    n_iter : passes over the data
    verbose : above 0 prints the pseudo-likelihood after every pass
    random_state : seed, generator or None; the same seed gives the same model for any number of threads
    method : "pcd" (persistent chains), "cd" (chains from the minibatch) or "rdm" (from random states)
    gibbs_steps : Gibbs steps an update
    n_chains : Markov chains of "pcd" and "rdm"; "auto" is batch_size, at least 100
    gradient : "centered" or "plain"
    optimizer : one of ``rbmscape.TrainingConfig``
    schedule : "constant", "linear" or "cosine"; `partial_fit` always takes constant steps
    averaging : updates over which the reported parameters are averaged; 0 reports the last ones
    clip : see ``rbmscape.TrainingConfig``
    l1, l2 : penalties on the weights
    engine, precision : of the sampling
    early_stopping : keep a part of the rows aside and stop where their pseudo-likelihood no longer rises; the best
        parameters are kept
    validation_fraction : that part
    n_iter_no_change : passes without a rise after which training stops

    Attributes
    ----------
    components_ : (n_components, n_features) weights, Wᵀ
    intercept_hidden_ : (n_components,) b
    intercept_visible_ : (n_features,) a
    h_samples_ : (n_chains, n_components) hidden states of the chains
    n_iter_ : passes that were made
    n_features_in_, feature_names_in_ : of the data, as everywhere in scikit-learn
    rbm_ : the model as a ``rbmscape.RBM``, for everything else in this package

    Notes
    -----
    Values between 0 and 1 are taken as probabilities of a 1: in every pass (in up to 10 different draws) bits are drawn
    with them.  Values outside of [0, 1] are clipped, with a warning.

    Examples
    --------
    >>> import numpy as np
    >>> from rbmscape.sklearn import BernoulliRBM
    >>> X = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
    >>> BernoulliRBM(n_components=2, random_state=0).fit(X).transform(X).shape
    (4, 2)
    """

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

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002
        """Train on the rows of X from new parameters.

        Parameters
        ----------
        X : (n_samples, n_features), dense or sparse, entries 0 or 1, or probabilities of a 1
        y : ignored
        """
        X = validate_data(self, X, accept_sparse="csr", dtype=(np.float64, np.float32))
        self._begin(X.dtype)
        draws = np.random.default_rng(self._seed)
        held, rows = self._split(X.shape[0], draws)
        n_draws = 1 if is_binary(X) else max(1, min(self.n_iter, _MOST_DRAWS))
        train = as_bits(X[rows], draws, n_draws)
        config = self._config(len(rows), epochs=max(1, self.n_iter), seed=self._seed)
        trainer = self._trainer(train, config)
        self._passes(trainer, config.updates_per_epoch(len(rows)), X, X[held] if len(held) else None)
        return self

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
                self._say(number, float(self.score_samples(shown).mean()), now - began)
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
        print(f"[{name}] Iteration {number}, pseudo-likelihood = {score:.2f}, time = {seconds:.2f}s")  # noqa: T201

    def _take(self, trainer: Trainer, model: RBM | None = None) -> None:
        """Attributes from the trainer's present model, or from another one."""
        rbm = trainer.model() if model is None else model
        dtype = self._dtype
        self.components_ = rbm.weights.T.cpu().numpy().astype(dtype)
        self.intercept_hidden_ = rbm.hidden_bias.cpu().numpy().astype(dtype)
        self.intercept_visible_ = rbm.visible_bias.cpu().numpy().astype(dtype)
        hidden = trainer.model(averaged=False).hidden_probability(trainer.chains).cpu().numpy()
        self.h_samples_ = (self.random_state_.uniform(size=hidden.shape) < hidden).astype(dtype)
        self._log_partition: LogPartition | None = None

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002
        """One update with the rows of X as its minibatch, from where training stands; steps are constant.

        Parameters
        ----------
        X : (n_samples, n_features), as for `fit`
        y : ignored
        """
        first = not hasattr(self, "components_")
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float64, reset=first)
        if first:
            self._begin(X.dtype)
        bits = as_bits(X, np.random.default_rng([self._seed, self.n_iter_]))
        recipe = self._config(20 * len(bits), epochs=self.n_iter_ + 1, seed=self._seed)
        trainer = self._trainer(bits, recipe.replace(batch_size=len(bits), schedule="constant"))
        if self._state is not None:
            trainer.restore({name: torch.tensor(value) for name, value in self._state.items()}, self.n_iter_)
        trainer.step()
        self.n_iter_ += 1
        self._state = {name: value.cpu().numpy() for name, value in trainer.state().items()}
        self._take(trainer)
        return self

    @property
    def rbm_(self) -> RBM:
        """The model as a ``rbmscape.RBM``; a copy."""
        check_is_fitted(self)
        return RBM(self.components_.T, self.intercept_visible_, self.intercept_hidden_)

    def transform(self, X: Any) -> NDArray[Any]:
        """P(h = 1 | v), equation 10, (n_samples, n_components), in the dtype of X; exact."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", reset=False, dtype=(np.float64, np.float32))
        return self._mean_hiddens(X)

    def _fields(self, v: Any) -> NDArray[Any]:
        """C = Wᵀv + b, equation 11."""
        fields: NDArray[Any] = safe_sparse_dot(v, self.components_.T) + self.intercept_hidden_
        return fields

    def _mean_hiddens(self, v: Any) -> NDArray[Any]:
        fields = self._fields(v)
        return np.asarray(expit(fields, out=fields))

    def _sample_hiddens(self, v: Any, rng: Any) -> NDArray[np.bool_]:
        means = self._mean_hiddens(v)
        return np.asarray(rng.uniform(size=means.shape) < means)

    def _sample_visibles(self, h: Any, rng: Any) -> NDArray[np.bool_]:
        means = expit(np.dot(h, self.components_) + self.intercept_visible_)
        return np.asarray(rng.uniform(size=means.shape) < means)

    def gibbs(self, v: Any) -> NDArray[np.bool_]:
        """One Gibbs step from v, (n_samples, n_features); its random numbers are those of ``random_state``."""
        check_is_fitted(self)
        return self._sample_visibles(self._sample_hiddens(v, self.random_state_), self.random_state_)

    def _free_energy(self, v: Any) -> NDArray[Any]:
        linear = np.asarray(safe_sparse_dot(v, self.intercept_visible_)).reshape(-1)
        energies: NDArray[Any] = -linear - np.logaddexp(0.0, self._fields(v)).sum(axis=1)
        return energies

    def score_samples(self, X: Any) -> NDArray[Any]:
        """Pseudo-likelihood of each row, as scikit-learn estimates it: one random bit is flipped.

        ``N ln σ(F(v') - F(v))`` with v' the row after the flip.
        A proxy for the log-likelihood in nats, with a large scatter; `log_likelihood` is the thing itself.
        """
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", reset=False)
        rng = check_random_state(self.random_state)
        rows = np.arange(X.shape[0])
        flipped = rng.randint(0, X.shape[1], X.shape[0])
        if hasattr(X, "toarray"):
            change = 1.0 - 2.0 * np.asarray(X[rows, flipped]).reshape(-1)
            other = X + sp.csr_array((change, (rows, flipped)), shape=X.shape)
        else:
            other = X.copy()
            other[rows, flipped] = 1 - other[rows, flipped]
        difference = self._free_energy(other) - self._free_energy(X)
        return np.asarray(-X.shape[1] * np.logaddexp(0.0, -difference))

    def _held_out_score(self, X: Any) -> float:
        """Mean pseudo-likelihood of rows kept aside, over the same flips in every pass, so that passes compare."""
        bits = as_bits(X[:_MOST_HELD], np.random.default_rng(self._seed)).astype(np.float64)
        energy, width = self._free_energy(bits), bits.shape[1]
        units = np.random.default_rng(self._seed).permutation(width)[:_FLIPS]
        total = 0.0
        for unit in units:
            other = bits.copy()
            other[:, unit] = 1.0 - other[:, unit]
            total -= float(np.logaddexp(0.0, energy - self._free_energy(other)).mean())
        return float(width * total / len(units))

    def log_partition(self) -> LogPartition:
        """ln Z with its error, see ``rbmscape.log_partition``; computed once after each fit."""
        check_is_fitted(self)
        if self._log_partition is None:
            self._log_partition = log_partition(self.rbm_, seed=0, engine=self.engine, precision=self.precision)
        return self._log_partition

    def log_likelihood(self, X: Any) -> NDArray[np.float64]:
        """ln p(v) = -F(v) - ln Z of each row in nats; the error of ln Z, common to all, is that of `log_partition`."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", reset=False)
        bits = as_bits(X, np.random.default_rng(0))
        energies = [self._free_energy(bits[k : k + _ROWS_AT_ONCE]) for k in range(0, len(bits), _ROWS_AT_ONCE)]
        return -np.concatenate(energies).astype(np.float64) - self.log_partition().value

    def score(self, X: Any, y: Any = None) -> float:  # noqa: ARG002
        """Mean log-likelihood of the rows in nats: what models are trained for, and what `GridSearchCV` compares."""
        return float(self.log_likelihood(X).mean())

    def sample(self, n_samples: int = 1) -> NDArray[np.uint8]:
        """(n_samples, n_features) states in equilibrium, see ``rbmscape.equilibrium_samples``."""
        from rbmscape.sampling.equilibrium import equilibrium_samples

        check_is_fitted(self)
        seed = int(self.random_state_.randint(2**31 - 1))
        samples = equilibrium_samples(self.rbm_, n_samples, seed, engine=self.engine, precision=self.precision)
        return samples.v.cpu().numpy().astype(np.uint8)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _given(value: Any, otherwise: float) -> Any:
    """A value, or what "auto" stands for."""
    return otherwise if value == "auto" else value
