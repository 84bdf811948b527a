r"""Replica exchange on ladders in which every model of a sequence is a rung; see `rbmscape.runs.samples`.

States are recorded at sixteen evenly spaced rounds of the last half, in which nothing is burn-in any more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.kernels.floats.annealing import annealer_for
from rbmscape.kernels.select import select_engine
from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream
from rbmscape.sampling.ladder import choose_ladder, independent_base, ladder_models
from rbmscape.sampling.tempered import MIN_ACCEPTANCE, MIN_PASSAGES, Tempered, trace_diagnostics
from rbmscape.sampling.tempering import temper_until

__all__ = ["affordable", "climbed", "own_stream"]

FEWEST_CHAINS = 32
FEWEST_ROUNDS, MOST_ROUNDS = 64, 1024
OVERRUN = 4
N_DRAWS = 16
N_MODES = 4
OVERHEAD = 1.5e5  # multiply-adds in the time of all else that a Gibbs step and an exchange of one replica take
EARLY_SHARE = 0.25  # of the budget: Gibbs steps mix the models of the first epoch


def affordable(n_rungs: int, rbm: RBM, settings: Mapping[str, float]) -> tuple[int, int]:
    """Columns, and rounds at most.

    They are at least as many as one passage up the ladder needs, 2(R + 1) at acceptance ½, also where that is more than
    the budget, but not where it is more than four times as much.
    """
    chain_rounds = settings["budget"] / (n_rungs * (rbm.n_visible * rbm.n_hidden + OVERHEAD))
    needed = min(MOST_ROUNDS, max(FEWEST_ROUNDS, 1 << (2 * n_rungs + 1).bit_length()))
    wanted = int(settings["n_chains"])
    n_chains = min(wanted, max(FEWEST_CHAINS, int(chain_rounds / needed)))
    rounds, longest = (_power_below(times * chain_rounds / n_chains) for times in (1, OVERRUN))
    return n_chains, min(MOST_ROUNDS, max(rounds, min(needed, max(FEWEST_ROUNDS, longest))))


def _power_below(number: float) -> int:
    """The largest power of 2 that is not larger, at least 1."""
    return 1 << (max(1, int(number)).bit_length() - 1)


class _Recorder:
    """States of some rungs at 16 evenly spaced rounds of the last half, whenever tempering stops at a power of 2."""

    def __init__(self, rungs: Sequence[int]) -> None:
        self.rungs = list(rungs)
        self.start: Tensor | None = None
        self.kept: list[NDArray[np.uint8]] = []

    def __call__(self, number: int, states: Tensor) -> None:
        if self.start is None:
            self.start = states[self.rungs].clone()
        count = number + 1
        goal = 1 << number.bit_length()  # the next power of 2; its last half are the rounds goal/2 + 1 ... goal
        done, stride = count - goal // 2, max(1, goal // (2 * N_DRAWS))
        if done == stride:
            self.kept = []
        if done > 0 and done % stride == 0:
            self.kept.append(np.packbits(states[self.rungs].cpu().numpy(), axis=-1))

    @property
    def packed(self) -> NDArray[np.uint8]:
        """(n_models, n_chains, n_draws, bytes)."""
        return np.stack(self.kept[-N_DRAWS:], 2)


def climbed(
    models: Sequence[RBM],
    early: int,
    key: tuple[int, str],
    settings: Mapping[str, float],
    chains: Tensor | None = None,
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """States and diagnostics as tensors, and the facts, as they are kept on disk.

    The first `early` models and the others stand on ladders of their own, see the module.  Half of the columns start
    from the training's own chains (n, N), where there are any, so that R-hat compares two origins.
    """
    shares = (EARLY_SHARE, 1.0 - EARLY_SHARE) if early else (0.0, 1.0)
    parts = []
    for number, (part, share) in enumerate(zip((models[:early], models[early:]), shares, strict=True)):
        if part:
            share_of = {**settings, "budget": share * settings["budget"]}
            parts.append(_ladder(part, models[0], key, number, share_of, chains))
    return _kept(parts, key, f"replica exchange {'along the training' if len(models) > 1 else 'in temperature'}")


@dataclass(frozen=True, slots=True)
class _Part:
    """What one ladder leaves: states and diagnostics of its models, and what speaks against them."""

    packed: NDArray[np.uint8]
    diagnostics: list[tuple[float, float, float]]
    against: list[str]
    result: Tempered


def _ladder(
    models: Sequence[RBM],
    first: RBM,
    key: tuple[int, str],
    number: int,
    settings: Mapping[str, float],
    chains: Tensor | None,
) -> _Part:
    """Temper on a ladder from independent units, which fit the training's first model, through all models.

    A single model is tempered through temperature.
    """
    target, single = models[-1], len(models) == 1
    annealer = annealer_for(select_engine("auto", "auto", target.device))
    stream = own_stream(*key).child(str(number))
    path = ladder_models(target, None) if single else list(models)
    wanted = [len(path) - 1] if single else range(len(path))
    base = None if single else independent_base(first, path[0], stream.child("ladder"), annealer)
    ladder = choose_ladder(path, stream.child("ladder"), annealer, settings["target"], keep=wanted, base=base)
    if chains is not None:
        ladder = ladder.with_starts(chains, stream, annealer)
    n_chains, rounds = affordable(len(ladder.models), target, settings)
    rungs = [ladder.positions.index(float(k)) for k in wanted]
    recorder = _Recorder(rungs)
    result = temper_until(ladder, n_chains, stream.child("tempering"), annealer, rounds, watch_rungs=recorder)
    packed = recorder.packed
    assert recorder.start is not None
    rows = [_diagnosed(model, packed[k], recorder.start[k]) for k, model in enumerate(models)]
    return _Part(packed, rows, [_about_ladder(result, rung) for rung in rungs], result)


def _about_ladder(result: Tempered, rung: int) -> str:
    """Whether replicas get to a rung: exchanges below it, and for the top one fresh states that reached it."""
    found = []
    below = result.acceptance[:rung]
    if below.size and below.min() < MIN_ACCEPTANCE:
        found.append(f"exchanges of rung {int(below.argmin())} are accepted with probability {below.min():.3f}")
    if rung == len(result.acceptance) and result.passages.mean() < MIN_PASSAGES:
        found.append(f"fresh states came {result.passages.mean():.2f} times a column, fewer than {MIN_PASSAGES:g}")
    return "; ".join(found)


def _kept(parts: Sequence[_Part], key: tuple[int, str], method: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    n_chains = min(part.packed.shape[1] for part in parts)
    tensors = {
        "packed": torch.from_numpy(np.concatenate([part.packed[:, :n_chains] for part in parts])),
        "diagnostics": torch.tensor([row for part in parts for row in part.diagnostics], dtype=torch.float64),
    }
    facts: dict[str, str | float] = {
        "samples_method": method,
        "samples_chains": n_chains,
        "samples_draws": N_DRAWS,
        "samples_rungs": sum(len(part.result.acceptance) + 1 for part in parts),
        "samples_rounds": max(part.result.n_rounds for part in parts),
        "samples_passages": float(parts[-1].result.passages.mean()),
        "samples_seed": key[0],
        "samples_label": key[1],
    }
    against = [words for part in parts for words in part.against]
    return tensors, {"facts": json.dumps(facts), "against": json.dumps(against)}


def own_stream(seed: int, label: str) -> Stream:
    """Randomness of the samples of one run or model."""
    return Stream(seed, "figures/equilibrium").child(label)


def _diagnosed(rbm: RBM, packed: NDArray[np.uint8], start: Tensor) -> tuple[float, float, float]:
    """ESS, R-hat and drift of the free energy and the leading modes of one model's draws."""
    bits = torch.from_numpy(np.unpackbits(packed, axis=-1, count=rbm.n_visible)).to(rbm.device)
    left = torch.linalg.svd(rbm.weights.double(), full_matrices=False)[0][:, :N_MODES]
    traces = []
    for states in (bits, start.to(rbm.device)):
        energy = rbm.free_energy(states.flatten(0, -2).to(rbm.dtype)).double().reshape(states.shape[:-1])
        traces.append(torch.cat((energy[..., None], states.double() @ left), -1).cpu().numpy())
    return trace_diagnostics(*traces)
