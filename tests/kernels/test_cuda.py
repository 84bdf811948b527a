"""The GPU's kernels draw and return what the definition of ``fixed`` says, bit for bit.

On a processor they run under Triton's interpreter, which `tests/conftest.py` turns on.
"""

from __future__ import annotations

import ast
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

pytest.importorskip("triton", reason="needs Triton, as from `pip install rbmscape[gpu]`")

import rbmscape as rs
from rbmscape.kernels.cuda import launch
from rbmscape.kernels.cuda.bound_paths import Paths
from rbmscape.kernels.cuda.launch import Tiles
from rbmscape.kernels.cuda.models import Models, Shape, States, numbers_of
from rbmscape.kernels.cuda.phases import _OPTIONS, Phases
from rbmscape.kernels.cuda.update import NOT_YET, Rule, Update
from rbmscape.kernels.reference.fixed import exact_gradient, exact_half_step
from rbmscape.kernels.rounding import round_to_fixed
from rbmscape.likelihood.annealing import anneal
from rbmscape.likelihood.path import AnnealingPath
from rbmscape.rng import Stream

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
FIRST = 2**31 - 7


def parameters(n_visible, n_hidden, std, seed=0):
    generator = np.random.default_rng(seed)
    weights = generator.normal(0, std, (n_visible, n_hidden))
    biases = generator.normal(size=n_visible), generator.normal(size=n_hidden)
    return tuple(torch.from_numpy(array.astype(np.float32)) for array in (weights, *biases))


def states_of(n, n_units, seed):
    return torch.from_numpy((np.random.default_rng(seed).random((n, n_units)) < 0.4).astype(np.uint8))


def on_device(arrays, n_chains, stream=None, draw=0, first_chain=FIRST):
    shape = Shape(1, *arrays[0].shape)
    models, states = Models(shape, DEVICE), States(shape, n_chains, DEVICE)
    models.round(*(array[None].contiguous().to(DEVICE) for array in arrays))
    states.numbers.copy_(torch.tensor([numbers_of(stream or Stream(5, "cuda"), draw, first_chain)]))
    return models, states


def test_products_that_tie_are_rounded_before_they_are_added():
    """Weights half-way between two integers: fused with the sum behind it, the product is no tie any more.

    On a processor nothing is ever fused, so that this can fail on a GPU alone.
    """
    arrays = parameters(60, 50, 0.3)
    weights = arrays[0]
    integers, scale = round_to_fixed(weights)
    inner = (integers.abs() > 1) & (torch.arange(60)[:, None] % 3 == 0)
    weights[inner] = ((integers.abs() - 0.5) * integers.sign() * scale).to(torch.float32)[inner]
    wanted, same_scale = round_to_fixed(weights)
    products = weights.to(torch.float64) * (1.0 / scale)
    assert same_scale == scale
    assert int(((products % 1.0 == 0.5) & inner).sum()) > 300
    assert scale * round(1.0 / scale) != 1.0  # 1/s is no number of float64, so that products are rounded
    models, _ = on_device(arrays, 1)
    assert torch.equal(models.integers()[0].cpu(), wanted)


def test_every_launch_of_a_kernel_forbids_fusing():
    """`kernel[grid](…)` in `kernels/cuda` hands over `EXACT`, by itself or in options that contain it."""
    launches = []
    for path in Path(launch.__file__).parent.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Subscript):
                handed = {ast.unparse(word.value) for word in node.keywords if word.arg is None}
                launches.append((f"{path.name}:{node.lineno}", handed))
    carriers = {"EXACT", "_OPTIONS", "how", "tiles.options", "tiles.meeting"}
    assert len(launches) >= 14
    assert [place for place, handed in launches if not handed & carriers] == []
    for options in (_OPTIONS, Tiles().options, Tiles(members=2).meeting):
        assert options["enable_fp_fusion"] is False


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("n_chains", [0, 1, 500, 4096])
@pytest.mark.parametrize("shape", [Shape(1, 1, 1), Shape(1, 784, 500), Shape(10, 784, 3000), Shape(40, 60, 12)])
def test_tiles_of_a_device_fit_it(monkeypatch, shape, n_chains, recorded):
    """Programs that meet all run at once, also where a path is bound before it has chains."""
    processors = 132
    monkeypatch.setattr(launch, "_processors", lambda _device: processors)
    models = SimpleNamespace(shape=shape, device=torch.device("cuda"))
    tiles = launch.choose_tiles(models, SimpleNamespace(n_chains=n_chains), recorded=recorded)
    assert (tiles.members == 0) is recorded
    if tiles.members > 1:
        programs = tiles.members * shape.models * -(-n_chains // tiles.chains)
        assert programs <= 2 * processors


def spilling():
    weights = torch.full((6, 4), 1e-7)
    weights[2, 1], weights[3, 2], weights[4, 0] = 32700 / 32768, -32760 / 32768, 32650 / 32768
    return weights


@pytest.mark.parametrize(
    "weights",
    [
        parameters(37, 21, 0.3)[0],
        parameters(1, 1, 2.0)[0],
        parameters(70, 130, 1e30)[0],
        parameters(5, 3, 1e-42)[0],
        torch.zeros(3, 4),
        torch.tensor([[math.nan, 1.0], [2.0, 3.0]]),
        spilling(),
        torch.full((40, 40), 0.1234),
    ],
    ids=["usual", "one", "huge", "denormal", "zero", "nan", "spill", "ties"],
)
def test_weights_are_rounded_as_defined(weights):
    integers, scale = round_to_fixed(weights)
    n, m = weights.shape
    models, _ = on_device((weights, torch.zeros(n), torch.zeros(m)), 1)
    assert float(models.scale[0]) == scale
    assert torch.equal(models.integers()[0].cpu(), integers)


def test_spills_are_counted():
    models, _ = on_device((spilling(), torch.zeros(6), torch.zeros(4)), 1)
    assert int(models.flags[0, 1]) == 2
    models.round(*(array[None].to(DEVICE) for array in parameters(6, 4, 0.1)))
    assert int(models.flags[0, 1]) == 0
    assert int(models.hidden_spill.max()) == -1


@pytest.mark.parametrize(
    ("shape", "tiles"),
    [
        ((37, 21, 70), Tiles()),
        ((37, 21, 70), Tiles(members=0)),
        ((1, 1, 1), None),
        ((130, 1, 1), None),
        ((1, 70, 3), None),
        ((130, 70, 33), Tiles(chains=32, hidden=16, visible=64, depth=32)),
    ],
)
def test_sweeps_draw_what_is_defined(shape, tiles):
    n_visible, n_hidden, n_chains = shape
    weights, visible, hidden = arrays = parameters(n_visible, n_hidden, 0.4)
    stream, v = Stream(2**40 + 1, "cuda"), states_of(n_chains, n_visible, 1)
    models, states = on_device(arrays, n_chains, stream, draw=6)
    states.visible.copy_(v)
    launch.sweep(models, states, 2, tiles)
    for step in (3, 4):
        h = exact_half_step(v, weights, hidden, True, stream, 2 * step, FIRST)
        v = exact_half_step(h, weights, visible, False, stream, 2 * step + 1, FIRST)
    assert torch.equal(states.visible[0].cpu(), v)
    assert torch.equal(states.hidden[0].cpu(), h)


def test_weights_that_spill_are_whole_in_the_products():
    weights, visible, hidden = arrays = spilling(), torch.zeros(6), torch.zeros(4)
    stream, v = Stream(3, "cuda"), torch.ones(200, 6, dtype=torch.uint8)
    models, states = on_device(arrays, 200, stream)
    states.visible.copy_(v)
    launch.sweep(models, states, 1)
    h = exact_half_step(v, weights, hidden, True, stream, 0, FIRST)
    assert torch.equal(states.hidden[0].cpu(), h)
    assert torch.equal(states.visible[0].cpu(), exact_half_step(h, weights, visible, False, stream, 1, FIRST))


def test_more_chains_than_a_grid_has_rows():
    weights, _, hidden = arrays = parameters(3, 2, 1.0)
    stream, v = Stream(3, "cuda"), states_of(65537, 3, 2)
    models, few = on_device(arrays, 1, stream)
    chains = 128 if DEVICE == "cuda" else 4096
    states = States(models.shape, 65537, DEVICE, chains)
    states.numbers.copy_(few.numbers)
    states.visible.copy_(v)
    launch.draw_hidden(models, states, 0, Tiles(chains=chains, hidden=16))
    assert torch.equal(states.hidden[0].cpu(), exact_half_step(v, weights, hidden, True, stream, 0, FIRST))


def test_models_of_a_batch_do_not_meet():
    both = [parameters(20, 13, 0.3, seed) for seed in (0, 1)]
    stream, v = Stream(9, "cuda"), states_of(18, 20, 4)
    shape = Shape(2, 20, 13)
    models, states = Models(shape, DEVICE), States(shape, 18, DEVICE)
    models.round(*(torch.stack(pair).to(DEVICE) for pair in zip(*both, strict=True)))
    states.visible.copy_(v)
    states.numbers.copy_(torch.tensor([numbers_of(stream, 0), numbers_of(Stream(10, "cuda"), 0)]))
    launch.sweep(models, states, 1)
    for replica, (weights, _, hidden) in enumerate(both):
        h = exact_half_step(v, weights, hidden, True, Stream(9 + replica, "cuda"), 0)
        assert torch.equal(states.hidden[replica].cpu(), h)


@pytest.mark.parametrize(("shape", "n_data"), [((37, 21, 70), 50), ((5, 3, 1), 2), ((20, 13, 140), 131)])
def test_gradient_is_the_defined_one(shape, n_data):
    n_visible, n_hidden, n_chains = shape
    arrays = parameters(n_visible, n_hidden, 0.5)
    data, chains = states_of(n_data + 7, n_visible, 2), states_of(n_chains, n_visible, 3)
    order = torch.from_numpy(np.random.default_rng(4).permutation(n_data + 7))
    rows = data[order[5 : 5 + n_data]]
    weights, hidden_bias, offset = exact_gradient(rows, chains, arrays[0], arrays[2])
    models, states = on_device(arrays, n_chains)
    states.visible.copy_(chains)
    phases = Phases(models, states, data, n_data)
    phases.order.copy_(order)
    phases.clock[1] = 5
    found = torch.full((1, n_visible, n_hidden), math.nan, device=DEVICE)
    phases.gather()
    phases.correlations(arrays[0][None].to(DEVICE), arrays[2][None].to(DEVICE), found)
    assert torch.equal(found[0].cpu(), weights)
    sums = phases.hidden_sums()[0].float().cpu()
    assert torch.equal(sums[0], hidden_bias)
    assert torch.equal(sums[1], offset)
    counts = torch.stack((chains.sum(0), rows.sum(0)))
    assert torch.equal(phases.visible_counts()[0].cpu().long(), counts)


def update_of(models, rule, n_updates=4, seed=0):
    """Small models at their beginning: 20 visible, 13 hidden units, 60 samples."""
    train = states_of(60, 20, 5)
    schedule = torch.tensor([0.1, 1.0, 0.2]).expand(len(models), n_updates, 3)
    update = Update(Shape(len(models), 20, 13), train, rule, schedule, DEVICE)
    for replica, model in enumerate(models):
        for view, array in zip(update.views(update.parameters), parameters(20, 13, 0.2, model), strict=True):
            view[replica].copy_(array)
        update.phases.order[replica] = torch.from_numpy(np.random.default_rng(model).permutation(60))
        update.states.numbers[replica] = torch.tensor(numbers_of(Stream(model, "cuda"), 0))
        update.states.visible[replica].copy_(states_of(24, 20, model))
    update.average.copy_(update.parameters)
    update.prepare()
    return update


RULES = [
    Rule(18, 24, 2, averaged=True, longest=0.4, l1=1e-3, l2=1e-2, optimizer="momentum", momentum=0.5),
    Rule(18, 24, 2, centered=False, optimizer="adam"),
    Rule(24, 24, 1, method="cd"),
]


@pytest.mark.parametrize("rule", RULES, ids=["sgd", "adam", "cd"])
def test_models_trained_at_once_are_those_trained_alone(rule):
    together = update_of((3, 4), rule)
    together.run(2)
    for place, model in enumerate((3, 4)):
        alone = update_of((model,), rule)
        alone.run(2)
        for one, other in zip(together.views(together.parameters), alone.views(alone.parameters), strict=True):
            assert torch.equal(one[place], other[0])
        assert torch.equal(together.average[place], alone.average[0])
        assert torch.equal(together.states.visible[place], alone.states.visible[0])
    assert torch.isfinite(together.parameters).all()
    assert not torch.equal(together.parameters[0], together.parameters[1])


def test_an_update_is_the_gradient_s_step():
    """Plain SGD against the definition: chains, gradient, parameters."""
    rule = Rule(18, 24, 1, centered=False)
    weights, visible, hidden = parameters(20, 13, 0.2, 3)
    update, stream = update_of((3,), rule), Stream(3, "cuda")
    rows = states_of(60, 20, 5)[np.random.default_rng(3).permutation(60)[:18]]
    h = exact_half_step(states_of(24, 20, 3), weights, hidden, True, stream, 0)
    v = exact_half_step(h, weights, visible, False, stream, 1)
    slopes = exact_gradient(rows, v, weights, hidden)
    update.run()
    found = [view[0].cpu() for view in update.views(update.parameters)]
    assert torch.equal(update.states.visible[0].cpu(), v)
    torch.testing.assert_close(found[0], weights + 0.1 * slopes[0], rtol=0, atol=1e-7)
    torch.testing.assert_close(found[2], hidden + 0.1 * slopes[1], rtol=0, atol=1e-7)
    difference = rows.float().mean(0) - v.float().mean(0)
    torch.testing.assert_close(found[1], visible + 0.1 * difference, rtol=0, atol=1e-6)


def test_divergence_is_dated_and_stops_the_model_that_diverged():
    update = update_of((3, 4), Rule(18, 24, 1))
    update.schedule[0, 1, 0] = 1e9
    update.run(3)
    assert update.first_bad.tolist() == [2, NOT_YET]
    kept = update.parameters.clone()
    update.phases.clock[1] = 0
    update.run()
    assert torch.equal(update.parameters[0], kept[0])
    assert not torch.equal(update.parameters[1], kept[1])


def test_paths_move_as_defined_and_weigh_like_float64():
    """Increments of 24 hidden units at most: factors in float32 leave 1e-5."""
    weights, visible, hidden = arrays = parameters(37, 21, 0.3)
    base = parameters(37, 21, 0.3, seed=8)[1:]
    stream, v = Stream(11, "cuda"), states_of(40, 37, 6)
    models, states = on_device(arrays, 40, stream, draw=1)
    pair = (visible[None].to(DEVICE), hidden[None].to(DEVICE)), tuple(one[None].to(DEVICE) for one in base)
    paths = Paths(models, states, *pair)
    paths.load(v[None].to(DEVICE))
    temperatures = torch.tensor([[0.0, 0.3, 0.8]], dtype=torch.float64, device=DEVICE)
    found = paths.walk(temperatures)
    integers, scale = round_to_fixed(weights)

    def log_density(states, t):
        fields = (1 - t) * base[1].double() + t * (hidden.double() + states.double() @ (scale * integers))
        drive = (1 - t) * base[0].double() + t * visible.double()
        return states.double() @ drive + torch.nn.functional.softplus(fields).sum(-1)

    wanted = log_density(v, 0.3) - log_density(v, 0.0)
    torch.testing.assert_close(found[0, 0].cpu(), wanted, rtol=0, atol=1e-5)
    after = states.visible[0].cpu()
    torch.testing.assert_close(paths.log_density()[0].cpu(), log_density(after, 1.0), rtol=0, atol=3e-5)
    ends = torch.tensor([[0.2, 0.9]], dtype=torch.float64, device=DEVICE)
    torch.testing.assert_close(
        paths.weigh(ends)[0].cpu(), log_density(after, 0.9) - log_density(after, 0.2), rtol=0, atol=3e-5
    )
    assert states.numbers[0, 3] == 5


def test_annealed_importance_sampling_takes_one_launch_for_many_temperatures(monkeypatch):
    """ln Z by the public estimator, three standard errors from the exact one at most; three launches for nine steps."""
    from rbmscape.kernels.cuda.engine import CudaEngine

    rbm = rs.RBM(*parameters(6, 4, 0.5)).to(device=DEVICE)
    launches, told, walk = [], [], Paths._walk
    monkeypatch.setattr(Paths, "_walk", lambda self, some: launches.append(some.shape[1] - 1) or walk(self, some))
    monkeypatch.setattr(Paths, "at_once", 3)
    path = AnnealingPath(rbm, torch.zeros(6, device=DEVICE), torch.zeros(4, device=DEVICE))
    found = anneal(
        path, np.linspace(0.0, 1.0, 9), 100, Stream(2, "ais"), CudaEngine("fixed", DEVICE).annealer(), told.append
    )
    assert launches == [3, 3, 1]
    assert told == [300, 300, 100, 100]
    assert found.spread.shape == (8,)
    weights = np.exp(found.log_weights - rs.log_partition(rbm.to(device="cpu"), "exact").value)
    assert abs(weights.mean() - 1.0) < 3.0 * weights.std() / 10.0
