"""Estimators for scikit-learn: ``from rbmscape.sklearn import BernoulliRBM`` in the place of scikit-learn's own."""

from __future__ import annotations

from rbmscape.errors import MissingInputError

try:
    from rbmscape.interop.classifier import RBMClassifier
    from rbmscape.interop.estimator import BernoulliRBM
except ModuleNotFoundError as error:
    if error.name is None or error.name.split(".")[0] != "sklearn":
        raise
    raise MissingInputError(
        "rbmscape.sklearn needs scikit-learn, which is not installed; install rbmscape[sklearn]"
    ) from error

__all__ = ["BernoulliRBM", "RBMClassifier"]
