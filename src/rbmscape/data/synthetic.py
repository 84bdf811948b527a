r"""Data whose distribution is known exactly: bars and stripes, and a planted low-rank RBM.

Bars and stripes (MacKay, Information Theory, Inference and Learning Algorithms, section 43) is uniform over its
patterns.  The planted set is drawn independently from an RBM whose weight matrix has chosen singular values λ_k and
left singular vectors u_k, so that what training should find (arXiv:2503.21536, equation 16) is known beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rbmscape.arrays import real_array
from rbmscape.checks import is_whole, shown
from rbmscape.data.dataset import Binary, Dataset
from rbmscape.errors import DataError
from rbmscape.memory import check_memory
from rbmscape.rng import Stream

__all__ = ["bars_and_stripes", "planted"]

Floats = NDArray[np.float64]
_MOST_BYTES = 2**30
_MOST_RANK = 10  # the exact likelihood sums over 2^rank hidden states


def bars_and_stripes(image_shape: tuple[int, int] = (4, 4)) -> Dataset:
    """All images whose rows are constant or whose columns are constant, each once; the test data are the same images.

    There are 2^height + 2^width - 2 of them (the empty and the full image are both), labelled 0 (constant rows), 1
    (constant columns) and 2 (both).  ``attributes`` holds ``train_log_likelihood`` and ``test_log_likelihood``:
    -ln(number of images), exact, the mean log-likelihood of the uniform distribution, which no model exceeds.

    Parameters
    ----------
    image_shape : (height, width), any size whose images fit into 1 GiB

    Raises
    ------
    DataError : sizes below 1, or too many images
    """
    height, width = _checked_size(image_shape)
    rows = np.repeat(_all_states(height)[:, :, None], width, axis=2)
    columns = np.repeat(_all_states(width)[:, None, :], height, axis=1)
    images = np.unique(np.concatenate([rows, columns]).reshape(-1, height * width), axis=0)
    grid = images.reshape(-1, height, width)
    constant_rows = (grid == grid[:, :, :1]).all(axis=(1, 2))
    constant_columns = (grid == grid[:, :1, :]).all(axis=(1, 2))
    labels = np.where(constant_rows & constant_columns, 2, np.where(constant_rows, 0, 1)).astype(np.int64)
    best = -math.log(len(images))
    return Dataset(
        name=f"bars-and-stripes-{height}x{width}",
        train=images,
        test=images.copy(),
        train_labels=labels,
        test_labels=labels.copy(),
        image_shape=(height, width),
        attributes={"train_log_likelihood": best, "test_log_likelihood": best},
    )


def planted(
    n_visible: int = 64,
    rank: int = 3,
    strengths: Sequence[float] | None = None,
    n_train: int = 10_000,
    n_test: int = 2_000,
    seed: int = 0,
) -> Dataset:
    r"""Independent samples of an RBM with known singular vectors and values.

    With z uniform in {-1, 1}^rank and orthogonal directions ε_k in {-1, 1}^N, u_k = ε_k/√N, each visible unit is drawn
    from p(v_i = 1|z) = σ(Σ_k θ_k z_k ε_ki), θ_k = λ_k/(2√N).  The rows of ε run through all sign patterns equally often
    up to a global sign, which makes Σ_i ln 2cosh(½ Σ_k θ_k z_k ε_ki) the same for all z: v is distributed exactly as
    the visible layer of the RBM with rank hidden units,

        W = Σ_k λ_k u_k e_kᵀ,   a = -½ W 1,   b = -½ Wᵀ 1,

    whose singular values are λ_k; every pixel's mean is ½, and a λ above 4 is an ordered mode (p(v) is bimodal
    along u_k).

    Parameters
    ----------
    n_visible : N, a multiple of 2^(rank - 1)
    rank : number of modes, 1 to 10
    strengths : the singular values λ_k, positive, one a mode; by default they fall evenly from 4 + 4·rank to 8
    n_train, n_test : independent samples
    seed : of signs, order of pixels, and samples

    Returns
    -------
    Data set whose labels number the hidden state z (bit k is set where z_k = 1), with the attributes ``directions``
    (N, rank), ``singular_values`` (rank,) in falling order, ``weights`` (N, rank), ``visible_bias`` (N,),
    ``hidden_bias`` (rank,), ``log_partition``, and ``train_log_likelihood``, ``test_log_likelihood``: mean exact
    log-likelihoods of the samples under this RBM, in nats

    Raises
    ------
    DataError : a value out of range
    """
    values = _checked_plan(n_visible, rank, strengths, n_train, n_test)
    n_visible, rank, n_train, n_test = (int(number) for number in (n_visible, rank, n_train, n_test))
    stream = Stream(seed, "data/planted")
    signs = _balanced_signs(n_visible, rank, stream.numpy(0))
    directions = signs / math.sqrt(n_visible)
    weights = directions * values
    needed = (n_train + n_test) * (n_visible + 8 * rank)
    check_memory(needed, f"{n_train + n_test} samples of {n_visible} units", "draw fewer")
    train, train_labels = _draw(weights, n_train, stream.numpy(1))
    test, test_labels = _draw(weights, n_test, stream.numpy(2))
    half_field = 0.25 * weights.sum(axis=1)
    log_partition = rank * math.log(2.0) + float(np.logaddexp(0.0, -2.0 * half_field).sum())
    return Dataset(
        name=f"planted-{n_visible}-rank-{rank}",
        train=train,
        test=test,
        train_labels=train_labels,
        test_labels=test_labels,
        attributes={
            "directions": directions,
            "singular_values": values,
            "weights": weights,
            "visible_bias": -0.5 * weights.sum(axis=1),
            "hidden_bias": -0.5 * weights.sum(axis=0),
            "log_partition": log_partition,
            "train_log_likelihood": _mean_log_likelihood(train, weights),
            "test_log_likelihood": _mean_log_likelihood(test, weights),
        },
    )


def _checked_size(image_shape: Sequence[int]) -> tuple[int, int]:
    sides = tuple(image_shape)
    if len(sides) != 2 or any(not is_whole(side) or side < 1 for side in sides):
        raise DataError(
            f"bars and stripes of size {sides!r} cannot be made; give image_shape=(height, width), both >= 1"
        )
    height, width = int(sides[0]), int(sides[1])
    if max(height, width) > 30 or (2**height + 2**width) * height * width > _MOST_BYTES:
        raise DataError(
            f"bars and stripes of {height}x{width} would need more than 1 GiB; choose a smaller image_shape"
        )
    return height, width


def _all_states(n_units: int) -> Binary:
    """(2^n, n) all binary states."""
    return ((np.arange(2**n_units)[:, None] >> np.arange(n_units)) & 1).astype(np.uint8)


def _checked_plan(n_visible: int, rank: int, strengths: Sequence[float] | None, n_train: int, n_test: int) -> Floats:
    """Check the arguments of `planted`; the singular values in falling order."""
    wanted = (
        ("n_visible", n_visible, n_visible if is_whole(n_visible) else 1),
        ("rank", rank, _MOST_RANK),
        ("n_train", n_train, None),
        ("n_test", n_test, None),
    )
    for name, value, most in wanted:
        least = 0 if name == "n_test" else 1
        if not is_whole(value) or value < least or (most is not None and value > most):
            most_words = f" and at most {most}" if most == _MOST_RANK else ""
            raise DataError(
                f"{name} of the planted set is {value!r}; give a whole number of at least {least}{most_words}"
            )
    n_visible, rank = int(n_visible), int(rank)
    period = 2 ** (rank - 1)
    if n_visible % period:
        nearest = max(period, round(n_visible / period) * period)
        raise DataError(
            f"n_visible is {n_visible} but {rank} planted modes need a multiple of {period}; choose n_visible={nearest}"
        )
    values = np.linspace(4.0 + 4.0 * rank, 8.0, rank) if strengths is None else real_array(strengths, "strengths")
    if values.shape != (rank,) or not np.isfinite(values).all() or not (values > 0.0).all():
        raise DataError(f"strengths are {shown(strengths)}; give {rank} positive singular values, one a mode")
    return np.sort(values)[::-1].copy()


def _balanced_signs(n_visible: int, rank: int, random: np.random.Generator) -> Floats:
    """(n_visible, rank) of ±1: every sign pattern equally often up to a global sign, in random order."""
    half = _all_states(rank)[: 2**rank : 2]  # the first sign fixed
    patterns = np.tile(1.0 - 2.0 * half, (n_visible // len(half), 1))
    flips = random.choice(np.array([-1.0, 1.0]), size=(n_visible, 1))
    return np.asarray(flips * patterns[random.permutation(n_visible)])


def _draw(weights: Floats, n_samples: int, random: np.random.Generator) -> tuple[Binary, NDArray[np.int64]]:
    """Independent (n, N) samples and the number of the hidden state of each."""
    rank = weights.shape[1]
    hidden = random.integers(0, 2, size=(n_samples, rank))
    half_logit = 0.25 * (2.0 * hidden - 1.0) @ weights.T
    probability = 0.5 * (1.0 + np.tanh(half_logit))
    samples = (random.random(probability.shape) < probability).astype(np.uint8)
    return samples, (hidden << np.arange(rank)).sum(axis=1).astype(np.int64)


def _mean_log_likelihood(samples: Binary, weights: Floats) -> float:
    """Mean over samples of ln p(v) = ln 2^-rank Σ_z Π_i p(v_i|z); exact; nan of no samples."""
    n_states = 2 ** weights.shape[1]
    signs = 2.0 * _all_states(weights.shape[1]) - 1.0
    logits = 0.5 * weights @ signs.T
    offset = np.logaddexp(0.0, logits).sum(axis=0)
    total = 0.0
    for start in range(0, len(samples), 2048):
        log_terms = samples[start : start + 2048] @ logits - offset
        total += float(np.logaddexp.reduce(log_terms, axis=1).sum())
    return total / len(samples) - math.log(n_states) if len(samples) else math.nan
