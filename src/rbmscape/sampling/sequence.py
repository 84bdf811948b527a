r"""Samples of every model of a sequence, from replica exchange on ladders in which every one of them is a rung.

One computation leaves equilibrium samples of all models, with what speaks against equilibrium at each.  There are two
ladders, each from independent units: one through the early models and one through the later ones.  During the first
epoch of a training the modes swing from checkpoint to checkpoint, so that a ladder through all of them lets hardly a
replica pass; those early models are mixed by Gibbs steps alone, and later ones are reached past them.  A single model
is tempered in temperature.

States are recorded at sixteen evenly spaced rounds of the last half, in which nothing is burn-in any more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmscape.checks import shown
from rbmscape.errors import InputError
from rbmscape.kernels.interface import Engine
from rbmscape.kernels.select import select_engine
from rbmscape.model.rbm import RBM
from rbmscape.progress import Advance, Progress, reporting
from rbmscape.sampling.budget import affordable_chains_and_rounds, chains_in_memory
from rbmscape.sampling.equilibrate import Machine
from rbmscape.sampling.ladder import choose_ladder, independent_base, ladder_models
from rbmscape.sampling.origins import from_elsewhere
from rbmscape.sampling.packed import PackedSamples, own_stream
from rbmscape.sampling.rounded import faithful_annealer
from rbmscape.sampling.rungs import summary
from rbmscape.sampling.samples import ALONG_TRAINING, IN_TEMPERATURE
from rbmscape.sampling.tempered import MIN_ACCEPTANCE, MIN_PASSAGES, Tempered
from rbmscape.sampling.tempering import ONE_LOOK, temper_until
from rbmscape.sampling.verdict import trace_diagnostics

__all__ = ["EVERY_MODEL_ACCEPTANCE", "sequence_samples", "sequence_settings"]

N_CHAINS = 100
BUDGET = 1e12
EVERY_MODEL_ACCEPTANCE = 0.65
"""Of exchanges between neighbouring rungs, aimed at where every model is a rung and is judged by itself.  It asks for
more rungs than `rbmscape.sampling.ladder.TARGET_ACCEPTANCE` = 0.35, which makes the fewest rounds to the top, and
leaves a budget fewer passages: of 19 models (M = 64, 10 000 digits of MNIST, 4e11 multiply-adds, two seeds) 11 and 10
were in equilibrium with 62 and 66 rungs; with 0.35 it was 13 and 14 with 38 and 39.  Plans may set ``target``."""
N_DRAWS = 16
N_MODES = 4
EARLY_SHARE = 0.25  # of the budget: Gibbs steps mix the models of the first epoch


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


def sequence_samples(
    models: Sequence[RBM],
    early: int,
    key: tuple[int, str],
    settings: Mapping[str, float],
    known: Tensor | None = None,
    engine: str | Engine = "auto",
    progress: Progress = False,
) -> PackedSamples:
    """Samples of every model of a sequence, or of a single one.

    Parameters
    ----------
    models : first to last
    early : so many first models stand on a ladder of their own, see the module
    key : seed and label of the randomness
    settings : from `sequence_settings`
    known : (n, N) states that may have weight, such as the data and the chains of the training, from which a part of
        the chains start, see `rbmscape.sampling.origins`
    engine : see `rbmscape.kernels.select.select_engine`
    progress : show a bar, or a reporter that counts Gibbs steps of replicas

    Raises
    ------
    LadderError : the models are so far apart that a ladder would have more than 400 rungs
    """
    shares = (EARLY_SHARE, 1.0 - EARLY_SHARE) if early else (0.0, 1.0)
    chosen = select_engine(engine, "auto", models[-1].device)
    machine = Machine(chosen, chosen.annealer())
    parts = []
    with reporting(progress, "replica exchange") as advance:
        for number, (part, share) in enumerate(zip((models[:early], models[early:]), shares, strict=True)):
            if part:
                share_of = {**settings, "budget": share * settings["budget"]}
                parts.append(_ladder(part, models[0], key, number, share_of, known, machine, advance))
    return _packed(parts, key, ALONG_TRAINING if len(models) > 1 else IN_TEMPERATURE)


def sequence_settings(options: Mapping[str, Any]) -> dict[str, float]:
    """Options of `sequence_samples` with their defaults filled in.

    Parameters
    ----------
    options : ``n_chains`` (100); ``budget`` (1e12 multiply-adds, see `rbmscape.sampling.budget`), to which chains and
        rounds are reduced, but not below 32 chains and one passage through the ladder where four budgets are enough
        for that; ``target`` acceptance (0.65)

    Raises
    ------
    InputError : an option that does not exist, or a value out of range
    """
    known = {"n_chains": N_CHAINS, "budget": BUDGET, "target": EVERY_MODEL_ACCEPTANCE}
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise InputError(f"sampling has no option {unknown[0]!r}; it has {', '.join(known)}")
    try:
        settings = {name: float(options.get(name, value)) for name, value in known.items()}
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"options of sampling are numbers, found {shown(dict(options))}; correct them") from None
    if not settings["n_chains"] >= 2 or not settings["budget"] > 0:
        raise InputError(
            f"sampling needs two chains or more and a budget above 0, found n_chains={settings['n_chains']:g} and "
            f"budget={settings['budget']:g}"
        )
    return settings


@dataclass(frozen=True, slots=True, eq=False)
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
    known: Tensor | None,
    machine: Machine,
    advance: Advance,
) -> _Part:
    """Temper on a ladder from independent units, which fit the training's first model, through all models.

    A single model is tempered through temperature.
    """
    target, single, annealer = models[-1], len(models) == 1, machine.annealer
    stream = own_stream(*key).child(str(number))
    path = ladder_models(target, None) if single else list(models)
    wanted = [len(path) - 1] if single else range(len(path))
    base = None if single else independent_base(first, path[0], stream.child("ladder"), annealer)
    ladder = choose_ladder(
        path, stream.child("ladder"), annealer, settings["target"], keep=wanted, base=base, progress=advance
    )
    ladder = from_elsewhere(ladder, known, stream, annealer, advance)
    annealer, rounded = faithful_annealer(target, ladder.top_states, machine.engine, annealer, machine.precision)
    most = min(int(settings["n_chains"]), chains_in_memory(len(ladder.models), target.n_visible))
    n_chains, rounds = affordable_chains_and_rounds(settings["budget"], len(ladder.models), most, target)
    rungs = [ladder.positions.index(float(k)) for k in wanted]
    recorder, looks = _Recorder(rungs), deque[Tempered](maxlen=2)

    def enough(look: Tempered) -> bool:
        looks.append(replace(look, doubts=rounded))
        return look.converged

    temper_until(
        ladder, n_chains, stream.child("tempering"), annealer, rounds, progress=advance, watch_rungs=recorder,
        enough=enough, halfway=False, every_rung=True,
    )  # fmt: skip
    packed = recorder.packed
    assert recorder.start is not None
    rows = [_diagnosed(model, packed[k], recorder.start[k]) for k, model in enumerate(models)]
    return _Part(packed, rows, [_in_two_looks(looks, rung) for rung in rungs], looks[-1])


def _in_two_looks(looks: Sequence[Tempered], rung: int) -> str:
    """What the last look says against a rung, or that the one before it, if any, did not pass: one may by chance."""
    found = _about_ladder(looks[-1], rung)
    passed_before = len(looks) > 1 and not _about_ladder(looks[-2], rung)
    return found if found or passed_before else ONE_LOOK


def _about_ladder(result: Tempered, rung: int) -> str:
    """What speaks against rungs and exchanges up to a rung, and for the top one whether fresh states reached it."""
    found = [*summary(result.rung_doubts[: rung + 1]), *result.doubts]
    below = result.acceptance[:rung]
    if below.size and below.min() < MIN_ACCEPTANCE:
        found.append(f"exchanges of rung {int(below.argmin())} are accepted with probability {below.min():.3f}")
    if rung == len(result.acceptance) and result.passages.mean() < MIN_PASSAGES:
        found.append(f"fresh states came {result.passages.mean():.2f} times a chain, fewer than {MIN_PASSAGES:g}")
    return "; ".join(found)


def _packed(parts: Sequence[_Part], key: tuple[int, str], method: str) -> PackedSamples:
    n_chains = min(part.packed.shape[1] for part in parts)
    how: dict[str, str | float] = {
        "samples_method": method,
        "samples_chains": n_chains,
        "samples_draws": N_DRAWS,
        "samples_rungs": sum(len(part.result.acceptance) + 1 for part in parts),
        "samples_rounds": max(part.result.n_rounds for part in parts),
        "samples_passages": float(parts[-1].result.passages.mean()),
        "samples_seed": key[0],
        "samples_label": key[1],
    }
    states = torch.from_numpy(np.concatenate([part.packed[:, :n_chains] for part in parts]))
    ess, r_hat, drift = np.array([row for part in parts for row in part.diagnostics], dtype=np.float64).T
    return PackedSamples(states, ess, r_hat, drift, tuple(words for part in parts for words in part.against), how)


def _diagnosed(rbm: RBM, packed: NDArray[np.uint8], start: Tensor) -> tuple[float, float, float]:
    """ESS, R-hat and drift of the free energy and the leading modes of one model's draws."""
    bits = torch.from_numpy(np.unpackbits(packed, axis=-1, count=rbm.n_visible)).to(rbm.device)
    left = torch.linalg.svd(rbm.weights.double(), full_matrices=False)[0][:, :N_MODES]
    traces = []
    for states in (bits, start.to(rbm.device)):
        energy = rbm.free_energy(states.flatten(0, -2).to(rbm.dtype)).double().reshape(states.shape[:-1])
        traces.append(torch.cat((energy[..., None], states.double() @ left), -1).cpu().numpy())
    return trace_diagnostics(*traces)
