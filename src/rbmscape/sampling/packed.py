"""Samples of every model of a sequence in little space: eight units a byte, diagnostics beside them.

Hidden states are not kept; they are drawn again from p(h | v), with the same numbers each time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.brief import OneLine
from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream
from rbmscape.sampling.draws import Draws, drawn_hidden
from rbmscape.sampling.samples import Samples
from rbmscape.sampling.verdict import EquilibriumVerdict, mixing_doubts

__all__ = ["PackedSamples", "own_stream"]

FloatArray = NDArray[np.float64]


def own_stream(seed: int, label: str) -> Stream:
    """Randomness of the samples of one run or model."""
    return Stream(seed, "figures/equilibrium").child(label)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PackedSamples(OneLine):
    """Samples of the models of a sequence, without the models.

    Attributes
    ----------
    states : (n_models, n_chains, n_draws, ⌈N/8⌉) uint8, eight visible units a byte
    ess, r_hat, drift : (n_models,) as in `rbmscape.sampling.verdict.trace_diagnostics`, of the recorded draws
    ladder : (n_models,) what speaks against the exchanges below each, or nothing
    how : what holds for all models: method, chains, draws, rungs, rounds, passages at the top, seed, label
    """

    states: Tensor
    ess: FloatArray
    r_hat: FloatArray
    drift: FloatArray
    ladder: tuple[str, ...]
    how: Mapping[str, str | float]

    def __len__(self) -> int:
        return len(self.states)

    def verdict(self, index: int) -> EquilibriumVerdict:
        """What speaks against the equilibrium of one model's samples."""
        ess, r_hat, drift = (float(values[index]) for values in (self.ess, self.r_hat, self.drift))
        found = mixing_doubts(ess, r_hat, drift)
        if self.ladder[index]:
            found.append(self.ladder[index])
        return EquilibriumVerdict(tuple(found), ess, r_hat, drift, f"R-hat {r_hat:.3f}, {ess:.0f} independent draws")

    def samples(self, index: int, model: RBM) -> Samples:
        """Samples of one model, which is the one at this place of the sequence."""
        bits = np.unpackbits(self.states[index].numpy(), axis=-1, count=model.n_visible)
        v = torch.from_numpy(bits).to(model.device)
        stream = own_stream(int(self.how["samples_seed"]), str(self.how["samples_label"])).child(f"hidden/{index}")
        h = drawn_hidden(model, v.flatten(0, 1), stream).reshape(*v.shape[:2], -1)
        return Samples(model, Draws(v, h), self.how, self.verdict(index))

    def to_file(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Tensors and words, as `rbmscape.files.write_tensors` takes them."""
        diagnostics = torch.from_numpy(np.stack((self.ess, self.r_hat, self.drift), 1))
        words = {"facts": json.dumps(dict(self.how)), "against": json.dumps(list(self.ladder))}
        return {"packed": self.states, "diagnostics": diagnostics}, words

    @classmethod
    def from_file(cls, tensors: Mapping[str, Tensor], words: Mapping[str, str]) -> PackedSamples:
        """What `to_file` gave."""
        ess, r_hat, drift = tensors["diagnostics"].numpy().T
        return cls(
            tensors["packed"], ess, r_hat, drift, tuple(json.loads(words["against"])), json.loads(words["facts"])
        )

    def _headline(self) -> str:
        fine = sum(self.verdict(index).converged for index in range(len(self)))
        n_models, n_chains, n_draws = self.states.shape[:3]
        return f"{n_models} models, {n_chains} chains of {n_draws} draws, {fine} of {n_models} in equilibrium"
