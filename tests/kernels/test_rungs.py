"""Models of one shape that are moved and weighed together: the same numbers as one by one, in few launches on a GPU."""

from __future__ import annotations

import os

import pytest
import torch
from conformance import STREAM, device_of, every_annealer, normal_model, random_states

from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream
from rbmscape.sampling.ladder import Ladder
from rbmscape.sampling.tempering import temper
from rbmscape.training.ladder.machine import Machine
from rbmscape.training.ladder.rungs import Rung
from rbmscape.training.ladder.sweep import sweep

SHAPE, RUNGS, CHAINS = (21, 13), 4, 20
FEW = 3
LOOKS = ((0, 0), (0, 1), (2, 3), (3, 2))
STREAMS = [STREAM.child(f"rung/{rung}") for rung in range(RUNGS)]


def paths_of(annealer, n_chains):
    models = [normal_model(*SHAPE, std=0.1 + 0.2 * rung, seed=rung) for rung in range(RUNGS)]
    return [annealer.bind(model, n_chains) for model in models]


def states():
    return torch.stack([random_states(CHAINS, SHAPE[0], 10 + rung, p=0.4) for rung in range(RUNGS)])


@every_annealer
def test_rungs_together_are_the_paths_one_by_one(annealer):
    alone = paths_of(annealer, CHAINS)
    first, *others = paths_of(annealer, 0)
    rungs = first.beside(others, CHAINS)
    rungs.load(states().to(device_of(annealer)))
    for path, v in zip(alone, states(), strict=True):
        path.load(v.to(path.v.device))
    found = rungs.walk(STREAMS, 6, 2, LOOKS)
    for path, stream in zip(alone, STREAMS, strict=True):
        path.move(stream, 6, 2)
    again = paths_of(annealer, CHAINS)
    for path, stream, v in zip(again, STREAMS, states(), strict=True):
        path.load(v.to(path.v.device))
        for step in range(2):
            path.move(stream, 6 + 2 * step)
    for rung, paths in enumerate(zip(alone, again, strict=True)):
        for path in paths:
            assert torch.equal(path.v.to(torch.uint8), rungs.v(rung).to(torch.uint8))
    assert not torch.equal(rungs.states().cpu(), states())
    for values, (rung, model) in zip(found, LOOKS, strict=True):
        assert torch.equal(values, alone[model].on(alone[rung]).log_density())


@every_annealer
def test_neighbouring_rungs_exchange_marked_chains(annealer):
    first, *others = paths_of(annealer, 0)
    rungs = first.beside(others, CHAINS)
    rungs.load(states().to(device_of(annealer)))
    swap = STREAM.uniform(7, 1, CHAINS) < 0.5
    rungs.exchange(1, swap.to(device_of(annealer)))
    expected = states()
    expected[1, swap[0]], expected[2, swap[0]] = expected[2, swap[0]], expected[1, swap[0]]
    assert torch.equal(rungs.states().cpu(), expected)
    modes = torch.linspace(-1.0, 1.0, 3 * SHAPE[0]).reshape(SHAPE[0], 3).to(device_of(annealer))
    wanted = torch.stack([v.to(modes) @ modes for v in expected.to(modes.device)])
    torch.testing.assert_close(rungs.project(modes), wanted, rtol=1e-5, atol=1e-5)


@pytest.fixture
def gpu(monkeypatch):
    """The GPU's annealer and the kernels that were launched, in their order."""
    pytest.importorskip("triton", reason="needs Triton, as from `pip install rbmscape[gpu]`")
    if not torch.cuda.is_available() and os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("needs a GPU or Triton's interpreter")
    from rbmscape.kernels.cuda import launch, paths, sweeps
    from rbmscape.kernels.cuda.engine import CudaEngine

    launches = []

    class Counted:
        def __init__(self, kernel, name):
            self.kernel, self.name = kernel, name

        def __getitem__(self, grid):
            launches.append(self.name)
            return self.kernel[grid]

    for module, name in ((sweeps, "sweeps"), (sweeps, "half_step"), (paths, "weigh"), (paths, "anneal")):
        monkeypatch.setattr(module, name, Counted(getattr(module, name), name))
    assert launch.sweep
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return CudaEngine("fixed", device).annealer(), launches


def as_rbm(model, device):
    return RBM(model.weights, model.visible_bias, model.hidden_bias).to(device=device)


@pytest.mark.slow
def test_a_round_of_a_ladder_is_two_launches_on_a_gpu(gpu):
    """16 rounds of 3 rungs and 20 columns: a sweep and the free energies of a round each, whatever the rungs."""
    annealer, launches = gpu
    models = tuple(as_rbm(normal_model(*SHAPE, std=0.05 * rung, seed=rung), annealer.device) for rung in range(FEW))
    ladder = Ladder(models, tuple(float(rung) for rung in range(FEW)), states()[:FEW].to(annealer.device))
    found = temper(ladder, CHAINS, 16, Stream(3, "launches"), annealer)
    assert launches.count("sweeps") == 16
    assert launches.count("weigh") == 17
    assert len(launches) == 33
    assert float(found.acceptance.min()) > 0.0


def test_a_sweep_of_reservoirs_is_two_launches_on_a_gpu(gpu):
    annealer, launches = gpu
    made = Machine(annealer)
    rungs = []
    for number in range(FEW):
        model = as_rbm(normal_model(*SHAPE, std=0.05 * number, seed=number), annealer.device)
        held = states()[number].reshape(5, 4, SHAPE[0]).to(annealer.device)
        empty = torch.empty(0)
        rungs.append(Rung(model, made.prepare(model), held, empty, number).with_states(made, held))
    before, ladder = [rung.states.clone() for rung in rungs], _linked(rungs)
    for _ in range(2):
        launches.clear()
        ladder = sweep(made, ladder, 4, Stream(4, "sweeps"))
        assert launches == ["sweeps", "weigh"]
    assert all(not torch.equal(old, rung.states) for old, rung in zip(before, ladder.rungs, strict=True))


def _linked(rungs):
    from itertools import pairwise

    from rbmscape.training.ladder.link import connect
    from rbmscape.training.ladder.rungs import Ladder as Reservoirs

    links = [connect(low.log_density * 0.1, high.log_density * 0.1) for low, high in pairwise(rungs)]
    return Reservoirs(tuple(rungs), tuple(links))
