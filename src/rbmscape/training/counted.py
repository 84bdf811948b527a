r"""The rows that a training sees: weighted ones as often as they count, incomplete ones completed.

Weights: each pass takes row i as often as `rbmscape.data.weighting.multiplicities` says, so that a minibatch is a plain
one and its gradient has the weighted mean likelihood's as its mean.

Missing entries: the gradient of the marginal likelihood is the mean of equation 6 over p(v_missing | v_known), since
``∂ ln p(v_K) = ⟨-∂E⟩_{K} - ⟨-∂E⟩``.  Every row keeps its last completion, from which its positive phase goes on, by as
many Gibbs steps with the known units held as the negative phase makes (persistent chains of the positive phase).

Shapes: rows are (n, N) uint8, marks (n, N) bool.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.data.dataset import Dataset
from rbmscape.data.kinds import MISSING, has_missing
from rbmscape.data.packed import PackedBits
from rbmscape.data.weighting import multiplicities, represented
from rbmscape.errors import ConfigError
from rbmscape.kernels.interface import BoundSampler, Engine, Parameters
from rbmscape.rng import Stream
from rbmscape.runs.config import TrainingConfig
from rbmscape.training.rows import Rows, training_rows

__all__ = ["Completions", "TrainingRows", "check_rows", "is_plain", "scored_rows"]

COMPLETED: Final = "completed"


def is_plain(dataset: Dataset) -> bool:
    """Whether all rows count once and are complete."""
    return dataset.train_weights is None and not dataset.has_missing


def check_rows(dataset: Dataset, config: TrainingConfig) -> None:
    """Refuse recipes that measure likelihoods of complete rows while they train.

    Raises
    ------
    ConfigError : missing entries with method "ptt" or with online_likelihood
    """
    if dataset.has_missing and (config.method == "ptt" or config.online_likelihood):
        which = "method 'ptt'" if config.method == "ptt" else "online_likelihood"
        raise ConfigError(
            f"{which} measures the likelihood of complete rows, found missing entries in {dataset.name}; train with "
            "method='pcd' and score the rows with log_probability afterwards"
        )


def scored_rows(rows: Any, weights: NDArray[np.float64] | None) -> Any:
    """Complete rows, each as often as it counts: what statistics of held-out data are taken over."""
    if has_missing(rows):
        complete = ~(rows == MISSING).any(1)
        rows, weights = rows[complete], None if weights is None else weights[complete]
    return represented(rows, weights if weights is None or weights.any() else None)


class TrainingRows:
    """Rows, their weights, and the last completion of what is missing.

    Parameters
    ----------
    dataset : its training part
    seed : of the run
    device : where the rows lie

    Attributes
    ----------
    rows : (n, N) uint8 without gaps; completions change in place
    missing : (n, N) bool, or None
    """

    def __init__(self, dataset: Dataset, seed: int, device: torch.device) -> None:
        self._weights = dataset.train_weights
        self._source: Any = dataset.train
        self._offsets = Stream(seed, "training/weights")
        marks = dataset.train == MISSING if has_missing(dataset.train) else None
        self.missing = torch.from_numpy(marks).to(device) if marks is not None else None
        self.rows: Rows = training_rows(dataset.train, device)
        if self.missing is not None:
            assert isinstance(self.rows, Tensor)
            n_rows, n_visible = self.rows.shape
            uniform = Stream(seed, "training/completions").uniform(0, n_rows, n_visible, 0, device)
            means = torch.from_numpy(dataset.mean).to(device)
            self.rows = torch.where(self.missing, (uniform < means).to(torch.uint8), self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def represented(self) -> Rows:
        """Each row as often as it counts; without weights the rows themselves."""
        if self._weights is None:
            return self.rows
        repeated = self._repeated(0.5)
        if isinstance(self._source, PackedBits):
            return training_rows(self._source.take(repeated.cpu().numpy()), self.rows.device)
        return self.rows[repeated]

    def _repeated(self, offset: float) -> Tensor:
        assert self._weights is not None
        counts = torch.from_numpy(multiplicities(self._weights, offset)).to(self.rows.device)
        return torch.arange(len(self.rows), device=self.rows.device).repeat_interleave(counts)

    def order(self, epoch: int, shuffle: Stream) -> Tensor:
        """Indices of the rows of one pass, shuffled."""
        if self._weights is None:
            order = torch.from_numpy(shuffle.numpy(epoch).permutation(len(self.rows)))
            return order.to(self.rows.device)
        repeated = self._repeated(float(self._offsets.numpy(epoch).random()))
        return repeated[torch.from_numpy(shuffle.numpy(epoch).permutation(len(repeated))).to(self.rows.device)]

    def state(self) -> dict[str, Tensor]:
        """Completions, eight units a byte; nothing where no entry is missing."""
        if self.missing is None:
            return {}
        assert isinstance(self.rows, Tensor)
        return {COMPLETED: torch.from_numpy(np.packbits(self.rows.cpu().numpy(), axis=1))}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        if self.missing is not None:
            assert isinstance(self.rows, Tensor)
            bits = np.unpackbits(tensors[COMPLETED].cpu().numpy(), axis=1, count=self.rows.shape[1])
            self.rows.copy_(torch.from_numpy(bits))


class Completions:
    """The positive phase of incomplete rows: Gibbs chains with the known units held.

    Parameters
    ----------
    rows : with missing entries
    engine, parameters : what samples which model
    batch_size : rows of a minibatch
    n_steps : Gibbs steps an update
    stream : randomness
    """

    def __init__(
        self,
        rows: TrainingRows,
        engine: Engine,
        parameters: Parameters,
        batch_size: int,
        n_steps: int,
        stream: Stream,
    ) -> None:
        self._rows, self._n_steps, self._stream = rows, n_steps, stream
        self._sampler: BoundSampler = engine.bind(parameters, batch_size)

    def update(self, parameters: Parameters) -> None:
        """Follow the model."""
        self._sampler.update(parameters)

    def complete(self, index: Tensor, update: int) -> Tensor:
        """(B, N) uint8 rows of a minibatch after the steps of one update, which become their last completions."""
        rows, missing, sampler = self._rows, self._rows.missing, self._sampler
        assert missing is not None
        known, free = rows.rows[index], missing[index]
        sampler.v.copy_(known)
        for step in range(update * self._n_steps, (update + 1) * self._n_steps):
            sampler.sample_hidden(self._stream, 2 * step)
            sampler.sample_visible(self._stream, 2 * step + 1)
            sampler.v.copy_(torch.where(free, sampler.v.to(torch.uint8), known))
        drawn = sampler.v.to(torch.uint8)
        # A row that stands several times in a minibatch keeps its first completion.
        distinct, first = np.unique(index.cpu().numpy(), return_index=True)
        assert isinstance(rows.rows, Tensor)
        rows.rows[torch.from_numpy(distinct)] = drawn[torch.from_numpy(first)]
        return drawn
