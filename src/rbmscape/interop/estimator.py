"""A drop-in for scikit-learn's ``BernoulliRBM`` on this package's training, sampling and likelihoods.

Names of parameters, attributes and methods are scikit-learn's, so that changing the import is enough; what it lacks
stands beside them.  Energies and conditionals are those of arXiv:2503.21536, equations 3, 10 and 11.
"""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted, validate_data

from rbmscape.interop.bits import as_bits
from rbmscape.interop.trained_estimator import TrainedEstimator
from rbmscape.likelihood.estimate import LogPartition, log_partition
from rbmscape.model.rbm import RBM
from rbmscape.sampling.conditional import conditional_samples
from rbmscape.sampling.verdict import EquilibriumVerdict

__all__ = ["BernoulliRBM", "warn_of_doubt"]

_ROWS_AT_ONCE = 8192
_MOST_HELD = 1000
_FLIPS = 32
_FEWEST_JUDGED = 100
"""Samples that are drawn at least, since the equilibrium of a handful of chains cannot be shown."""


class BernoulliRBM(ClassNamePrefixFeaturesOutMixin, TransformerMixin, TrainedEstimator):  # type: ignore[misc]
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

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002
        """Train on the rows of X from new parameters.

        Parameters
        ----------
        X : (n_samples, n_features), dense or sparse, entries 0 or 1, or probabilities of a 1
        y : ignored
        """
        X = validate_data(self, X, accept_sparse="csr", dtype=(np.float64, np.float32))
        self._fit_rows(X)
        return self

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

    _score_name = "pseudo-likelihood"

    def _shown_score(self, shown: Any) -> float:
        return float(self.score_samples(shown).mean())

    def _keep(self, rbm: RBM, dtype: Any) -> None:
        self.components_ = rbm.weights.T.cpu().numpy().astype(dtype)
        self.intercept_hidden_ = rbm.hidden_bias.cpu().numpy().astype(dtype)
        self.intercept_visible_ = rbm.visible_bias.cpu().numpy().astype(dtype)
        self._log_partition: LogPartition | None = None

    @property
    def rbm_(self) -> RBM:
        """The model as a ``rbmscape.RBM``; a copy."""
        check_is_fitted(self)
        columns = getattr(self, "feature_names_in_", None)
        return RBM(self.components_.T, self.intercept_visible_, self.intercept_hidden_, columns=columns)

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
        v = validate_data(self, v, accept_sparse="csr", reset=False, dtype=(np.float64, np.float32))
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

    def _held_out_score(self, held: Any) -> float:
        """Mean pseudo-likelihood of rows kept aside, over the same flips in every pass, so that passes compare."""
        bits = as_bits(held[:_MOST_HELD], np.random.default_rng(self._seed)).astype(np.float64)
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
        """(n_samples, n_features) states in equilibrium, see ``rbmscape.equilibrium_samples``.

        Where something speaks against their equilibrium, a ``ConvergenceWarning`` says what.
        """
        from rbmscape.sampling.equilibrium import equilibrium_samples

        check_is_fitted(self)
        seed = int(self.random_state_.randint(2**31 - 1))
        drawn = max(n_samples, _FEWEST_JUDGED)
        samples = equilibrium_samples(self.rbm_, drawn, seed, engine=self.engine, precision=self.precision)
        warn_of_doubt(samples.verdict)
        return samples.v[:n_samples].cpu().numpy().astype(np.uint8)

    def conditional_sample(self, X: Any, n_samples: int = 1, *, missing: ArrayLike | None = None) -> NDArray[np.uint8]:
        """(n, n_samples, n_features) completions of rows, from p(unknown | known).

        Parameters
        ----------
        X : (n, n_features) entries 0, 1, or NaN where unknown
        n_samples : completions of each row
        missing : (n, n_features) or (n_features,) bool, true where an entry is unknown whatever X holds there

        Warns
        -----
        ConvergenceWarning : something speaks against the equilibrium of a row's samples

        See Also
        --------
        rbmscape.conditional_samples : the same of ``rbm_``, with probabilities of single units and a verdict a row
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan")
        seed = int(self.random_state_.randint(2**31 - 1))
        samples = conditional_samples(
            self.rbm_, X, n_samples, seed, missing=missing, engine=self.engine, precision=self.precision
        )
        warn_of_doubt(samples.verdict)
        return samples.v.cpu().numpy().astype(np.uint8)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def warn_of_doubt(verdict: EquilibriumVerdict) -> None:
    """Say what speaks against samples, as scikit-learn says it of fits."""
    if not verdict.converged:
        warnings.warn(f"samples: {verdict}", ConvergenceWarning, stacklevel=3)
