"""Test rows set aside at random: single rows, whole groups, or the same share of every class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmscape.arrays import dense
from rbmscape.checks import is_number
from rbmscape.data.dataset import Dataset
from rbmscape.errors import DataError
from rbmscape.rng import Stream

__all__ = ["split", "with_validation"]


def split(
    dataset: Dataset,
    test_fraction: float,
    seed: int,
    groups: Any = None,
    stratify: bool | None = None,
    purpose: str = "split",
) -> Dataset:
    """Move rows chosen at random to the test data; the same rows for the same seed and number of rows.

    Parameters
    ----------
    dataset : without test data
    test_fraction : part of the rows; at least one and not all
    seed : of the choice
    groups : (n,) one group a row, or None; groups are drawn until they hold the wanted number of rows
    stratify : draw from each class its own part
    purpose : label of the random choice

    Raises
    ------
    DataError : a fraction outside [0, 1), too few rows or groups, both groups and classes, no labels
    """
    if not is_number(test_fraction) or not 0.0 <= test_fraction < 1.0:
        raise DataError(f"test_fraction is {test_fraction!r}; give a number from 0 to below 1")
    if test_fraction == 0.0:
        return dataset
    n_samples = len(dataset.train)
    if n_samples == 1:
        raise DataError(
            f"{dataset.name} has one row, which cannot be both training and test data; "
            "pass test_fraction=0 (--test-fraction 0) or test=..."
        )
    order = Stream(seed, f"data/{purpose}").numpy().permutation(n_samples)
    if groups is not None:
        if stratify:
            raise DataError("groups and stratify were both given; choose one of them")
        order, n_test = _by_groups(np.asarray(dense(groups, "groups")), order, test_fraction, dataset.name)
    elif stratify:
        order, n_test = _by_classes(dataset, order, test_fraction)
    else:
        n_test = min(max(1, round(test_fraction * n_samples)), n_samples - 1)
    return dataset.divided(order[:n_test], order[n_test:])


def with_validation(
    dataset: Dataset, fraction: float, seed: int, groups: Any = None, stratify: bool | None = None
) -> Dataset:
    """A part of the training rows in the place of the test data, which are left out.

    Parameters
    ----------
    fraction : of the training rows, above 0 and below 1

    Raises
    ------
    DataError : a fraction out of range, fewer than two rows, or groups, which only the first split knows
    """
    if not is_number(fraction) or not 0.0 < fraction < 1.0:
        raise DataError(f"validation_fraction is {fraction!r}; give a number above 0 and below 1")
    if groups is not None:
        raise DataError(
            "validation_fraction knows no groups, so that rows of one would be trained on and judged by; split by "
            "groups beforehand, and give the parts as data and test"
        )
    if len(dataset.train) < 2:
        raise DataError(f"{dataset.name} has one training row, which leaves none to validate by; give more rows")
    return split(dataset, fraction, seed, stratify=stratify, purpose="validation")


def _by_groups(
    groups: NDArray[Any], order: NDArray[np.intp], fraction: float, name: str
) -> tuple[NDArray[np.intp], int]:
    """Rows with those of whole groups first, in the order in which a group is met, and how many are test rows."""
    if groups.shape != order.shape:
        raise DataError(f"{name}: groups have shape {groups.shape} for {len(order)} rows; give one group a row")
    try:
        _, number = np.unique(groups, return_inverse=True)
    except TypeError:
        raise DataError(f"{name}: groups cannot be put in order; give all groups as numbers or all as words") from None
    shuffled = number[order]
    met, first = np.unique(shuffled, return_index=True)
    if len(met) == 1:
        raise DataError(f"{name}: all rows are of one group, which cannot be split; give test=... or test_fraction=0")
    place = np.empty(len(met), dtype=np.intp)
    place[met[np.argsort(first)]] = np.arange(len(met))
    by_group = order[np.argsort(place[shuffled], kind="stable")]
    ends = np.cumsum(np.bincount(place[number]))[:-1]
    return by_group, int(ends[np.abs(ends - fraction * len(order)).argmin()])


def _by_classes(dataset: Dataset, order: NDArray[np.intp], fraction: float) -> tuple[NDArray[np.intp], int]:
    """Rows with the test rows first, a part of every class that has two rows or more."""
    if dataset.train_labels is None:
        raise DataError(f"{dataset.name} has no labels to keep the shares of; pass labels=... or leave stratify out")
    labels = dataset.train_labels[order]
    is_test = np.zeros(len(order), dtype=np.bool_)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        is_test[rows[: min(round(fraction * len(rows)), len(rows) - 1)]] = True
    if not is_test.any():
        raise DataError(f"{dataset.name}: no class has rows enough for test data; raise test_fraction")
    return np.concatenate((order[is_test], order[~is_test])), int(is_test.sum())
