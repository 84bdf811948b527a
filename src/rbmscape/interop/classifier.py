r"""A classifier by the joint distribution of data and labels: class units are clamped beside the visible ones.

The visible layer is (x, t), t being one unit a class of which the label's is 1.  Of a row x the free energy
(arXiv:2503.21536, equation 3 summed over h) differs between classes by

``-F(x, e_k) = const + c_k + Σ_j softplus(b_j + (Wᵀx)_j + U_kj)``,

so that p(y = k | x) over the classes needs no partition function and is exact.  Larochelle and Bengio (2008).
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from rbmscape.errors import InputError
from rbmscape.interop.estimator import warn_of_doubt
from rbmscape.interop.trained_estimator import TrainedEstimator
from rbmscape.model.rbm import RBM
from rbmscape.sampling.conditional import conditional_samples

__all__ = ["RBMClassifier"]

_ENTRIES_AT_ONCE = 2**22


class RBMClassifier(ClassifierMixin, TrainedEstimator):  # type: ignore[misc]
    r"""A model of p(x, y), which classifies by p(y | x) and draws from p(x | y).

    It is trained to model data and labels together, not to tell classes apart: a method that is trained for the labels
    alone is often the better classifier where all rows have labels.

    Parameters
    ----------
    n_components, learning_rate, ... : those of `BernoulliRBM`, with the same meaning; early stopping watches the mean
        ln p(y | x) of the rows that are kept aside

    Attributes
    ----------
    classes_ : (n_classes,) labels, sorted
    components_ : (n_components, n_features) weights of the features, Wᵀ
    class_components_ : (n_components, n_classes) weights of the class units, Uᵀ
    intercept_hidden_ : (n_components,) b
    intercept_visible_ : (n_features,) a
    intercept_classes_ : (n_classes,) c
    h_samples_, n_iter_, n_features_in_, feature_names_in_ : as of `BernoulliRBM`
    rbm_ : the model as a ``rbmscape.RBM`` whose last n_classes visible units are the classes

    Notes
    -----
    Values of X between 0 and 1 are probabilities of a 1: bits are drawn with them in training, and their fields
    ``Wᵀx`` are taken at their means when classes are predicted.  Values outside of [0, 1] are clipped, with a warning
    in training.

    Examples
    --------
    >>> import numpy as np
    >>> from rbmscape.sklearn import RBMClassifier
    >>> X = np.tile([[0, 0, 1, 1], [1, 1, 0, 0]], (50, 1))
    >>> y = np.tile(["right", "left"], 50)
    >>> RBMClassifier(n_components=4, n_iter=50, random_state=0).fit(X, y).predict([[0, 0, 1, 1]])
    array(['right'], dtype='<U5')
    """

    _score_name = "mean ln p(y | x)"

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any) -> Self:
        """Train on rows and their labels from new parameters.

        Parameters
        ----------
        X : (n_samples, n_features), dense or sparse, entries 0 or 1, or probabilities of a 1
        y : (n_samples,) labels of any kind
        """
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=(np.float64, np.float32))
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        self._fit_rows(X, np.eye(len(self.classes_), dtype=np.uint8)[numbers])
        return self

    def _keep(self, rbm: RBM, dtype: Any) -> None:
        weights = rbm.weights.T.cpu().numpy().astype(dtype)
        bias = rbm.visible_bias.cpu().numpy().astype(dtype)
        self.components_, self.class_components_ = np.split(weights, [self.n_features_in_], axis=1)
        self.intercept_visible_, self.intercept_classes_ = np.split(bias, [self.n_features_in_])
        self.intercept_hidden_ = rbm.hidden_bias.cpu().numpy().astype(dtype)

    def _shown_score(self, shown: Any) -> float:
        X, codes = shown
        return float((self._log_probability(X) * codes).sum(1).mean())

    def _held_out_score(self, held: Any) -> float:
        return self._shown_score(held)

    @property
    def rbm_(self) -> RBM:
        """The model of features and classes as a ``rbmscape.RBM``; a copy."""
        check_is_fitted(self)
        weights = np.hstack([self.components_, self.class_components_]).T
        return RBM(weights, np.concatenate([self.intercept_visible_, self.intercept_classes_]), self.intercept_hidden_)

    def _log_probability(self, X: Any) -> NDArray[Any]:
        """(n, n_classes) ln p(y | x)."""
        n_rows = max(1, _ENTRIES_AT_ONCE // len(self.intercept_hidden_))
        return np.concatenate([self._of_block(X[k : k + n_rows]) for k in range(0, X.shape[0], n_rows)])

    def _of_block(self, X: Any) -> NDArray[Any]:
        """The same of rows whose fields fit into memory."""
        X = np.clip(X.toarray() if hasattr(X, "toarray") else X, 0.0, 1.0)
        fields = safe_sparse_dot(X, self.components_.T) + self.intercept_hidden_
        energies = [
            bias + np.logaddexp(0.0, fields + weights).sum(axis=1)
            for bias, weights in zip(self.intercept_classes_, self.class_components_.T, strict=True)
        ]
        return np.asarray(log_softmax(np.stack(energies, axis=1), axis=1))

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """(n, n_classes) ln p(y | x), in the order of `classes_`; exact for rows of bits."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", reset=False, dtype=(np.float64, np.float32))
        return self._log_probability(X)

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """(n, n_classes) p(y | x), in the order of `classes_`; exact for rows of bits."""
        return np.asarray(np.exp(self.predict_log_proba(X)))

    def predict(self, X: Any) -> NDArray[Any]:
        """(n,) the likeliest class of each row."""
        likeliest = self.predict_log_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[likeliest])

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of the rows whose likeliest class is their label (accuracy)."""
        return float(super().score(X, y, sample_weight))

    def sample(self, label: Any, n_samples: int = 1) -> NDArray[np.uint8]:
        """(n_samples, n_features) states from p(x | y = label): the class units are held, the rest is drawn.

        Raises
        ------
        InputError : no such class

        Warns
        -----
        ConvergenceWarning : something speaks against their equilibrium
        """
        check_is_fitted(self)
        code = self.classes_ == label
        if np.ndim(label) or np.count_nonzero(code) != 1:
            known_ones = ", ".join(map(str, self.classes_))
            raise InputError(f"{label!r} is no class of this model, which knows {known_ones}; choose one of them")
        known = np.concatenate([np.full(self.n_features_in_, np.nan), code])
        seed = int(self.random_state_.randint(2**31 - 1))
        samples = conditional_samples(self.rbm_, known, n_samples, seed, engine=self.engine, precision=self.precision)
        warn_of_doubt(samples.verdict)
        return samples.v[:, : self.n_features_in_].cpu().numpy().astype(np.uint8)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.poor_score = True  # the checks' data are real numbers, which are clipped to [0, 1]
        return tags
