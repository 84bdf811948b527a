r"""How Gaussian the coordinates of random states are (arXiv:2503.21536, sections 3 and 5.1, figures 3e and 5).

Over uniformly random binary states, ``x_i = Σ_k U_ki v_k`` has mean ``½ Σ_k U_ki``, standard deviation ½ (equation 51)
and, for any orthogonal U, kurtosis ``3 - 2 Σ_k U_ki⁴`` exactly, which averages to ``3 - 6/(N + 2)`` over Haar-random U.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from rbmscape.arguments import checked
from rbmscape.brief import OneLine
from rbmscape.errors import InputError, ShapeError
from rbmscape.kernels.select import has_fast_bf16
from rbmscape.model.rbm import RBM
from rbmscape.progress import Progress, reporting
from rbmscape.reciprocal.modes import Modes
from rbmscape.stats import Estimate

__all__ = [
    "Extrapolation",
    "KurtosisPair",
    "SampledKurtosis",
    "extrapolate_kurtosis",
    "haar_kurtosis",
    "kurtosis",
    "kurtosis_of_vectors",
    "sampled_kurtosis",
]

FloatArray = NDArray[np.float64]
PRECISIONS = ("auto", "int8", "bf16", "fp32")
LARGEST_BIAS = 0.1  # of a standard error, above which a coarser number format is not taken


@dataclass(frozen=True, eq=False, repr=False)
class KurtosisPair(OneLine):
    """Kurtosis of every coordinate: x (N,) of the visible, y (M,) of the hidden layer; 3 is Gaussian.

    The pair can be taken apart, ``x, y = kurtosis(rbm)``.
    """

    x: FloatArray
    y: FloatArray

    def _headline(self) -> str:
        return f"{self.x.size} x with mean {self.x.mean():.4f}, {self.y.size} y with mean {self.y.mean():.4f}"

    def __iter__(self) -> Iterator[FloatArray]:
        return iter((self.x, self.y))


@checked
def kurtosis(rbm: RBM | Modes) -> KurtosisPair:
    """Exact kurtosis of every reciprocal coordinate over uniformly random states, ``3 - 2 Σ_k U_ki⁴``.

    Returns
    -------
    KurtosisPair of float64 arrays (N,) and (M,); exact to rounding; 3 is Gaussian, 1 a single bit
    """
    modes = rbm if isinstance(rbm, Modes) else Modes.of(rbm)
    return KurtosisPair(kurtosis_of_vectors(modes.left), kurtosis_of_vectors(modes.right))


def kurtosis_of_vectors(vectors: Tensor) -> FloatArray:
    """(K,) exact kurtosis of ``Σ_k c_k v_k`` over random bits v for each column c of (n, K), of any length."""
    squares = vectors.to(torch.float64).square()
    result: FloatArray = (3.0 - 2.0 * squares.square().sum(dim=0) / squares.sum(dim=0).square()).cpu().numpy()
    return result


def haar_kurtosis(n_units: int | ArrayLike) -> FloatArray:
    """Average of the exact kurtosis over Haar-random vectors of n units, ``3 - 6/(n + 2)``."""
    return np.asarray(3.0 - 6.0 / (np.asarray(n_units, dtype=np.float64) + 2.0))


def kurtosis_stderr(vectors: Tensor, n_states: int) -> FloatArray:
    """(K,) standard error of the sampled kurtosis ``m4/m2²`` of n states (delta method, exact moments up to the 8th).

    The cumulants of ``Σ_k c_k s_k`` over random spins are ``Σc²``, ``-2 Σc⁴``, ``16 Σc⁶``, ``-272 Σc⁸``.
    """
    squares = vectors.to(torch.float64).square()
    squares = squares / squares.sum(dim=0)
    k4, k6, k8 = (factor * squares.pow(p).sum(dim=0) for factor, p in ((-2.0, 2), (16.0, 3), (-272.0, 4)))
    m4 = 3.0 + k4
    m6 = 15.0 + 15.0 * k4 + k6
    m8 = 105.0 + 210.0 * k4 + 35.0 * k4.square() + 28.0 * k6 + k8
    variance = (m8 - m4.square()) - 4.0 * m4 * (m6 - m4) + 4.0 * m4.square() * (m4 - 1.0)
    result: FloatArray = (variance.clamp(min=0.0) / n_states).sqrt().cpu().numpy()
    return result


@dataclass(frozen=True, eq=False, repr=False)
class SampledKurtosis(OneLine):
    """Kurtosis measured on random states, beside the exact one.

    Attributes
    ----------
    value : (K,) estimated, fourth over squared second moment about the exact mean
    stderr : (K,) standard error
    exact : (K,) ``3 - 2 Σ_k U_ki⁴``
    n_states : random states
    precision : number format of the mode vectors in the matrix product
    rounding_bias : (K,) exact kurtosis of the vectors as rounded to that format minus ``exact``
    """

    value: FloatArray
    stderr: FloatArray
    exact: FloatArray
    n_states: int
    precision: str
    rounding_bias: FloatArray

    def _headline(self) -> str:
        worst = float(np.abs(self.z_scores).max())
        return f"{self.value.size} modes, mean {self.value.mean():.4f}, largest |z| {worst:.1f}, {self.n_states} states"

    @property
    def z_scores(self) -> FloatArray:
        """(K,) ``(value - exact)/stderr``; standard normal for many states: |z| > 4 has probability 6.3e-5 a mode."""
        from rbmscape.stats import z_scores

        return z_scores(self.value, self.exact, self.stderr)


def sampled_kurtosis(
    rbm: RBM | Modes,
    layer: str = "hidden",
    n_states: int = 7_000_000,
    seed: int = 0,
    precision: str = "auto",
    paired: bool = False,
    progress: Progress = False,
) -> SampledKurtosis:
    """Kurtosis of every coordinate of one layer over sampled uniformly random states (the paper's figure 3e).

    Parameters
    ----------
    layer : "hidden" (y) or "visible" (x)
    n_states : random states; the paper's number by default
    precision : "auto" takes the fastest of int8, bf16 and fp32 that the processor multiplies natively and whose
        rounding of U shifts no mode by more than a tenth of its standard error
    paired : only the L = min(N, M) modes with a singular value, as in the paper; the others' vectors are an arbitrary
        basis, often with one large entry, which costs precision and time
    progress : see `rbmscape.progress`; counts states

    Returns
    -------
    SampledKurtosis, estimated, with standard errors

    Raises
    ------
    InputError : an unknown layer or precision, or fewer than 100 states
    """
    from rbmscape.reciprocal.moments import even_moments
    from rbmscape.rng import Stream

    if layer not in ("hidden", "visible"):
        raise InputError(f"layer must be 'hidden' or 'visible', found {layer!r}")
    if precision not in PRECISIONS:
        raise InputError(f"precision must be one of {', '.join(PRECISIONS)}, found {precision!r}")
    if n_states < 100:
        raise InputError(f"n_states must be at least 100 for a kurtosis, found {n_states}")
    modes = rbm if isinstance(rbm, Modes) else Modes.of(rbm)
    vectors = modes.right if layer == "hidden" else modes.left
    if paired:
        vectors = vectors[:, : modes.n_paired]
    exact, stderr = kurtosis_of_vectors(vectors), kurtosis_stderr(vectors, n_states)
    chosen, bias = _choose_precision(vectors, exact, stderr, precision)
    stream = Stream(seed, f"reciprocal/kurtosis/{layer}")
    with reporting(progress, "random states", n_states) as advance:
        second, fourth = even_moments(vectors, n_states, stream, chosen, advance)
    return SampledKurtosis(fourth / second**2, stderr, exact, n_states, chosen, bias)


def _choose_precision(vectors: Tensor, exact: FloatArray, stderr: FloatArray, precision: str) -> tuple[str, FloatArray]:
    """The fastest format that is native and accurate enough, and the exact shift that its rounding causes."""
    from rbmscape.reciprocal.moments import quantized

    def bias_of(name: str) -> FloatArray:
        matrix, scale = quantized(vectors, name)
        return kurtosis_of_vectors(matrix.to(torch.float64) * scale) - exact

    if precision != "auto":
        return precision, bias_of(precision)
    for name in _native_formats(vectors.device):
        bias = bias_of(name)
        if bool(np.all(np.abs(bias) <= LARGEST_BIAS * stderr + 1e-12)):
            return name, bias
    return "fp32", bias_of("fp32")


def _native_formats(device: torch.device) -> list[str]:
    """Formats coarser than fp32 that the device multiplies faster, fastest first."""
    formats = ["bf16"] if has_fast_bf16(device) else []
    if device.type == "cpu" and hasattr(torch, "_int_mm"):
        capabilities = torch.cpu.get_capabilities()
        if any(capabilities.get(feature, False) for feature in ("amx_int8", "avx512_vnni")):
            formats.insert(0, "int8")
    return formats


@dataclass(frozen=True, repr=False)
class Extrapolation(OneLine):
    """Straight line ``kurtosis = intercept + slope / M`` through layer sizes (figure 3e).

    Attributes
    ----------
    intercept : kurtosis of an infinite layer; 3 where the coordinates become Gaussian
    slope : -6 to leading order for Haar-random vectors
    residual : root mean square distance of the points from the line
    """

    intercept: Estimate
    slope: Estimate
    residual: float

    def at(self, n_units: ArrayLike) -> FloatArray:
        """The line at layer sizes; infinity gives the intercept."""
        return np.asarray(self.intercept.value + self.slope.value / np.asarray(n_units, dtype=np.float64))


def extrapolate_kurtosis(n_units: ArrayLike, values: ArrayLike, stderr: ArrayLike | None = None) -> Extrapolation:
    """Least-squares line in 1/M through mean kurtoses of layers of M units.

    Parameters
    ----------
    n_units, values : (S,) layer sizes and mean kurtoses
    stderr : (S,) their standard errors; None weighs all alike and takes the errors from the residuals

    Raises
    ------
    ShapeError : fewer than three sizes, or unequal lengths
    """
    inverse, kurtoses = 1.0 / np.asarray(n_units, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if inverse.shape != kurtoses.shape or inverse.ndim != 1 or inverse.size < 3:
        raise ShapeError(
            f"a fit needs at least three sizes with one value each, found {inverse.size} and {kurtoses.size}"
        )
    errors = None if stderr is None else np.asarray(stderr, dtype=np.float64)
    design = np.stack([np.ones_like(inverse), inverse], axis=1)
    weights = np.ones_like(inverse) if errors is None else 1.0 / errors
    solution = np.linalg.lstsq(design * weights[:, None], kurtoses * weights, rcond=None)[0]
    distance = kurtoses - design @ solution
    covariance = np.linalg.inv((design * weights[:, None] ** 2).T @ design)
    if errors is None:
        covariance = covariance * float(np.sum(distance**2)) / (inverse.size - 2)
    intercept, slope = (Estimate(float(s), math.sqrt(c)) for s, c in zip(solution, np.diag(covariance), strict=True))
    return Extrapolation(intercept, slope, float(np.sqrt(np.mean(distance**2))))
