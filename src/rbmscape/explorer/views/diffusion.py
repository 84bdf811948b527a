"""Walkers on the landscape: Gibbs sampling, Gaussian and confined Langevin dynamics (arXiv:2503.21536, section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rbmscape.diffusion.langevin import langevin, largest_stable_step
from rbmscape.explorer.encode import Sheet
from rbmscape.reciprocal.modes import Modes
from rbmscape.rng import Stream
from rbmscape.sampling.draws import gibbs_draws
from rbmscape.symmetry.transitions import mode_coordinates

if TYPE_CHECKING:
    from rbmscape.explorer.query import Query
    from rbmscape.explorer.subject import Subject
    from rbmscape.model.rbm import RBM

__all__ = ["show"]

N_WALKERS = 12
N_RECORDS = 60
MOST_MODES = 16


def show(subject: Subject, query: Query) -> Sheet:
    """``u`` and ``w`` of one mode over (record, walker), and ``state`` (record, walker, unit) decoded to the units."""
    update = subject.resolve(query.whole("update", -1, -1, 2**60))
    kind = query.choice("kind", ("gibbs", "entropic", "gaussian"))
    spread = query.number("temperature", 1.0, 0.05, 5.0)
    seed = query.whole("seed", 0, 0, 2**31)
    rbm, modes = subject.load(update), subject.gauge.at(update)
    mode = query.whole("mode", 1, 1, min(MOST_MODES, modes.n_paired)) - 1
    walk = _gibbs if kind == "gibbs" else _langevin
    u, w, states, times, unit = walk(rbm, modes, mode, spread, seed, kind)
    low, high = float(np.nanmin(states)), float(np.nanmax(states))
    return Sheet(
        {
            "u": (("record", "walker"), u, {"units": "1"}),
            "w": (("record", "walker"), w, {"units": "1"}),
            "state": (("record", "walker", "unit"), states, {"units": "1"}),
            "time": ("record", times, {"units": unit}),
        },
        attrs={"kind": kind, "unit": unit, "lowest": low, "highest": high, "mode": mode + 1},
    )


Walk = tuple[Any, Any, Any, Any, str]


def _gibbs(rbm: RBM, modes: Modes, mode: int, spread: float, seed: int, _kind: str) -> Walk:
    """Chains from random bits, at inverse temperature 1/D."""
    bits = Stream(seed, "explorer/walkers").numpy(0).integers(0, 2, (N_WALKERS, rbm.n_visible)).astype(np.uint8)
    draws = gibbs_draws(
        rbm, n_chains=N_WALKERS, burn_in=0, n_draws=N_RECORDS, thin=1, start=bits, beta=1.0 / spread, seed=seed
    )
    u, w = mode_coordinates(modes, draws, [mode])
    states = draws.v.cpu().numpy().swapaxes(0, 1)
    return u[..., 0].T, w[..., 0].T, states, np.arange(1, N_RECORDS + 1), "Gibbs steps"


def _langevin(rbm: RBM, modes: Modes, mode: int, spread: float, seed: int, kind: str) -> Walk:
    """The confined (entropic) or the Gaussian diffusion; every record is a run that goes on from the last."""
    dt = 0.2 * largest_stable_step(rbm, 1.0, spread)
    n_steps = 10
    start: Any = "random" if kind == "entropic" else "reference"
    records = []
    for number in range(N_RECORDS):
        found = langevin(
            rbm, "entropic" if kind == "entropic" else "gaussian", n_chains=N_WALKERS, n_steps=n_steps, dt=dt,
            diffusion=spread, start=start, record_every=n_steps, mode_indices=(mode,), modes=modes,
            seed=seed * N_RECORDS + number,
        )  # fmt: skip
        start = (found.m, found.n)
        records.append(found)
    u, w = (np.stack([getattr(one, axis)[-1, :, 0].cpu().numpy() for one in records]) for axis in "uw")
    states = np.stack([one.m.to(torch.float32).cpu().numpy() for one in records])
    return u, w, states, dt * n_steps * np.arange(1, N_RECORDS + 1), "diffusion time"
