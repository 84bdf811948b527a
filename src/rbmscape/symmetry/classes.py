r"""Which class an image belongs to, before and after its modes are turned (arXiv:2503.21536, section 5.2).

The paper speaks of the effect of rotations on the image class and shows pictures.  Here a softmax regression,
``p(c | v) ∝ exp(w_c · v + b_c)`` with a penalty on the weights, fitted to the labelled training data, names the class.
Shapes: v (n, N), labels (n,).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.brief import OneLine
from rbmscape.errors import DataError
from rbmscape.rng import Stream
from rbmscape.stats import Estimate, mean_estimate
from rbmscape.symmetry.hierarchy import RotatedSamples

__all__ = ["ImageClasses", "class_changes"]

PENALTY: Final = 1e-3
MAX_ROWS: Final = 10_000


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ImageClasses(OneLine):
    """A softmax regression that names the class of a visible state.

    Attributes
    ----------
    names : (C,) the labels
    weights, bias : (N, C) and (C,)
    """

    names: NDArray[Any]
    weights: Tensor
    bias: Tensor

    def _headline(self) -> str:
        return f"{len(self.names)} classes of {self.weights.shape[0]} units"

    @classmethod
    def fit(cls, v: NDArray[np.uint8], labels: NDArray[Any], max_rows: int = MAX_ROWS) -> ImageClasses:
        """The penalised maximum of the likelihood of labels, from the first rows.

        Raises
        ------
        DataError : fewer than two different labels
        """
        names, numbers = np.unique(labels[:max_rows], return_inverse=True)
        if names.size < 2:
            raise DataError(f"a class can change where there are two or more, found {names.size} label(s)")
        rows = torch.from_numpy(v[:max_rows]).to(torch.float32)
        target = torch.from_numpy(numbers.astype(np.int64))
        weights = torch.zeros(rows.shape[1], names.size, requires_grad=True)
        bias = torch.zeros(names.size, requires_grad=True)
        search = torch.optim.LBFGS([weights, bias], max_iter=60, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            search.zero_grad()
            value = torch.nn.functional.cross_entropy(rows @ weights + bias, target) + PENALTY * weights.square().sum()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        search.step(loss)  # type: ignore[no-untyped-call]
        return cls(names, weights.detach(), bias.detach())

    def predict(self, v: Tensor) -> Tensor:
        """Number of the most probable class of each row, (n,)."""
        return (v.to(self.weights) @ self.weights + self.bias).argmax(1)

    def accuracy(self, v: NDArray[np.uint8], labels: NDArray[Any]) -> float:
        """Share of rows whose class is the labelled one."""
        return float((self.names[self.predict(torch.from_numpy(v)).cpu().numpy()] == labels).mean())


def class_changes(samples: RotatedSamples, classes: ImageClasses, seed: int = 0) -> tuple[Estimate, Estimate]:
    """Share of samples whose class a rotation changes, and the share where as many units flip in random places.

    Parameters
    ----------
    samples : before and after a rotation; rows must come from independent chains for the errors to hold
    seed : of the random places
    """
    before = classes.predict(samples.before)
    flipped = (samples.before != samples.after).cpu().numpy()
    scattered = Stream(seed, "symmetry/classes").numpy(0).permuted(flipped, axis=1)
    control = samples.before ^ torch.from_numpy(scattered).to(samples.before)
    return tuple(  # type: ignore[return-value]
        mean_estimate((classes.predict(after) != before).double().cpu().numpy()) for after in (samples.after, control)
    )
