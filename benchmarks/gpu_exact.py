"""The device against the definition in plain torch, bit for bit, and the speed of annealing."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from rbmscape.kernels import rounding
from rbmscape.kernels.cuda import launch
from rbmscape.kernels.cuda.bound_paths import Paths
from rbmscape.kernels.cuda.launch import Tiles
from rbmscape.kernels.cuda.models import Models, Shape, States, numbers_of
from rbmscape.kernels.cuda.phases import Phases
from rbmscape.kernels.cuda.units import active, power_of_two
from rbmscape.kernels.reference.fixed import exact_gradient, exact_half_step
from rbmscape.kernels.reference.fixed import power_of_two as power_of_two_of
from rbmscape.kernels.rounding import round_to_fixed
from rbmscape.kernels.select import select_engine
from rbmscape.model.rbm import RBM
from rbmscape.rng import Stream, uniform_from_bits

if TYPE_CHECKING:
    from benchmarks.gpu_pieces import Bench

CASES: list[dict[str, Any]] = [
    {"shape": (37, 21, 70), "std": 0.3},
    {"shape": (1, 1, 1), "std": 1.0},
    {"shape": (784, 500, 500), "std": 0.05},
    {"shape": (784, 500, 500), "std": 0.3, "tiles": Tiles(members=16)},
    {"shape": (784, 500, 500), "std": 0.3, "tiles": Tiles(members=0)},
    {"shape": (784, 500, 500), "std": 0.3, "tiles": Tiles(128, 64, 64, 64, 8, 3, 33)},
    {"shape": (784, 3000, 500), "std": 0.05, "tiles": Tiles(128, 128, 128, 64, 8, 3, 33)},
    {"shape": (300, 130, 65537), "std": 0.2},
    {"shape": (6, 4, 50), "spill": True},
]
SMALL = [CASES[0], CASES[1], CASES[-1]]


def _model(n_visible: int, n_hidden: int, case: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    weights = case.get("std", 1e-6) * torch.randn(n_visible, n_hidden, generator=generator)
    if case.get("spill"):
        weights[2, 1], weights[3, 2], weights[4, 0] = 32700 / 32768, -32760 / 32768, 32650 / 32768
    visible, hidden = (torch.randn(n, generator=generator) for n in (n_visible, n_hidden))
    return weights, visible, hidden


def _states(n: int, n_units: int, seed: int) -> Tensor:
    return (torch.rand(n, n_units, generator=torch.Generator().manual_seed(seed)) < 0.4).to(torch.uint8)


def _sampler(bench: Bench, case: dict[str, Any]) -> None:
    n_visible, n_hidden, n_chains = case["shape"]
    model, stream, first_chain = _model(n_visible, n_hidden, case), Stream(2**40 + 3, "exact"), 2**31 - 5
    weights, visible, hidden = model
    start, n_steps = _states(n_chains, n_visible, 1), 1 if n_chains > 5000 else 3
    v = h = start
    for step in range(3, 3 + n_steps):
        h = exact_half_step(v, weights, hidden, True, stream, 2 * step, first_chain)
        v = exact_half_step(h, weights, visible, False, stream, 2 * step + 1, first_chain)
    models = Models(Shape(1, n_visible, n_hidden), bench.device)
    states = States(models.shape, n_chains, bench.device)
    models.round(*(tensor[None].to(bench.device) for tensor in model))
    states.visible.copy_(start)
    states.numbers.copy_(torch.tensor([numbers_of(stream, 6, first_chain)]))
    launch.sweep(models, states, n_steps, case.get("tiles"))
    bench.row(
        shape=case["shape"],
        tiles=str(case.get("tiles")),
        wrong_v=int((states.visible[0].cpu() != v).sum()),
        wrong_h=int((states.hidden[0].cpu() != h).sum()),
        spilled=int(models.flags[0, 1]),
    )


def _gradient(bench: Bench, shape: tuple[int, int, int], n_data: int) -> None:
    n_visible, n_hidden, n_chains = shape
    model = _model(n_visible, n_hidden, {"std": 0.2})
    data, chains = _states(n_data, n_visible, 2), _states(n_chains, n_visible, 3)
    wanted = exact_gradient(data, chains, model[0], model[2])
    models = Models(Shape(1, n_visible, n_hidden), bench.device)
    states = States(models.shape, n_chains, bench.device)
    weights, visible, hidden = (tensor[None].to(bench.device) for tensor in model)
    models.round(weights, visible, hidden)
    states.visible.copy_(chains)
    phases = Phases(models, states, data, n_data)
    phases.order.copy_(torch.arange(n_data))
    found = torch.empty(1, n_visible, n_hidden, device=bench.device)
    phases.gather()
    phases.correlations(weights, hidden, found)
    sums = phases.hidden_sums().float().cpu()[0]
    wrong = [int((one != other).sum()) for one, other in zip((found.cpu()[0], *sums), wanted, strict=True)]
    bench.row(gradient=shape, wrong_weights=wrong[0], wrong_hidden=wrong[1], wrong_offset=wrong[2])


@triton.jit
def _units(t, words, powers, states, size, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    exponent = tl.load(t + at, mask=at < size, other=0.0)
    tl.store(powers + at, power_of_two(exponent), mask=at < size)
    word = tl.load(words + at, mask=at < size, other=0).to(tl.uint32)
    tl.store(states + at, active(exponent, word).to(tl.int8), mask=at < size)


def _parts(bench: Bench) -> None:
    """Where a difference comes from: powers of two, comparisons, integers, scales and fields one by one."""
    size = 2**12 if bench.dry else 2**22
    generator = torch.Generator().manual_seed(11)
    t = 12.0 * torch.randn(size, generator=generator)
    words = torch.randint(0, 2**32, (size,), generator=generator)
    powers, states = torch.empty(size, device=bench.device), torch.empty(size, dtype=torch.int8, device=bench.device)
    grid = (-(-size // 1024),)
    _units[grid](t.to(bench.device), words.to(bench.device), powers, states, size, BLOCK=1024, enable_fp_fusion=False)
    wanted = power_of_two_of(t)
    uniform = uniform_from_bits(words)
    chosen = ((uniform.double() * wanted.double() + uniform.double()).float() < 1.0).to(torch.int8)
    bench.row(
        what="parts", wrong_powers=int((powers.cpu() != wanted).sum()), wrong_states=int((states.cpu() != chosen).sum())
    )
    for n_visible, n_hidden, std in (
        [(37, 21, 0.3)] if bench.dry else [(37, 21, 0.3), (784, 500, 0.05), (784, 500, 0.3)]
    ):
        weights, visible, hidden = _model(n_visible, n_hidden, {"std": std})
        integers, scale = round_to_fixed(weights)
        models = Models(Shape(1, n_visible, n_hidden), bench.device)
        models.round(*(tensor[None].to(bench.device) for tensor in (weights, visible, hidden)))
        fields = models.visible_fields[0, :n_visible].cpu(), models.hidden_fields[0, :n_hidden].cpu()
        slope = float(torch.tensor(rounding.MINUS_LOG2_E * scale, dtype=torch.float64).to(torch.float32))
        bench.row(
            what="rounding", shape=(n_visible, n_hidden), std=std,
            wrong_integers=int((models.integers()[0].cpu() != integers).sum()),
            wrong_scale=float(models.scale[0]) - scale, wrong_slope=float(models.slopes[0]) - slope,
            wrong_fields=sum(
                int((found != bias * rounding.MINUS_LOG2_E).sum())
                for found, bias in zip(fields, (visible, hidden), strict=True)
            ),
        )  # fmt: skip


def _processor(bench: Bench) -> None:
    """The definition in plain torch against this machine's own vector code."""
    for n_visible, n_hidden, n_chains, std in (
        [(37, 21, 70, 0.3)] if bench.dry else [(784, 500, 500, 0.05), (784, 500, 500, 0.3)]
    ):
        weights, visible, hidden = _model(n_visible, n_hidden, {"std": std})
        start, stream = _states(n_chains, n_visible, 1), Stream(2**40 + 3, "exact")
        model = RBM(weights, visible, hidden)
        sampler = select_engine("cpu", "fixed").bind(model, n_chains)
        sampler.v.copy_(start)
        sampler.sweep(stream, 3, 3, first_chain=5)
        v = h = start
        for step in range(3, 6):
            h = exact_half_step(v, weights, hidden, True, stream, 2 * step, 5)
            v = exact_half_step(h, weights, visible, False, stream, 2 * step + 1, 5)
        bench.row(what="processor", shape=(n_visible, n_hidden), std=std, wrong_v=int((sampler.v.cpu() != v).sum()))


def _replicas(bench: Bench) -> None:
    """Each of three models alone, and all of them at once."""
    from benchmarks.gpu_pieces import make_update

    sizes = (24, 2) if bench.dry else (500, 10)
    together = make_update(bench, 3, *sizes)
    together.run(3)
    differ = 0
    for replica in range(3):
        alone = make_update(bench, 1, *sizes)
        alone.views(alone.parameters)[0].copy_(_initial(bench, together.shape)[replica][None])
        alone.average.copy_(alone.parameters)
        alone.states.numbers.copy_(torch.tensor([numbers_of(Stream(replica, "bench"), 0)]))
        alone.phases.order.copy_(together.phases.order[replica][None])
        alone.prepare()
        alone.run(3)
        differ += int((alone.parameters[0] != together.parameters[replica]).sum())
        differ += int((alone.states.visible[0] != together.states.visible[replica]).sum())
    bench.row(what="three models at once against each alone, 3 updates", different=differ)


def _initial(bench: Bench, shape: Shape) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return (0.01 * torch.randn(3, shape.visible, shape.hidden, generator=generator)).to(bench.device)


def compare(bench: Bench) -> None:
    """Rows that count what differs; zeros are right."""
    for case in SMALL if bench.dry else CASES:
        with bench.attempt(shape=case["shape"], tiles=str(case.get("tiles"))):
            _sampler(bench, case)
    for shape, n_data in [((37, 21, 70), 50), ((784, 500, 500), 500)][: 1 if bench.dry else 2]:
        with bench.attempt(gradient=shape):
            _gradient(bench, shape, n_data)
    for part in (_parts, _processor, _replicas):
        with bench.attempt(what=part.__name__):
            part(bench)


def time_paths(bench: Bench) -> None:
    """1000 temperatures of 500 chains; and one step of a ladder of 40 models, 100 columns."""
    from benchmarks.gpu_pieces import bound

    cases = [(1, 500, 500, 1000), (1, 3000, 500, 1000), (40, 500, 100, 64)]
    for replicas, n_hidden, n_chains, n_steps in [(2, 24, 30, 3)] if bench.dry else cases:
        with bench.attempt(replicas=replicas, hidden=n_hidden):
            models, states = bound(bench, replicas, n_hidden, n_chains)
            shape = models.shape
            zeros = [torch.zeros(replicas, n, device=bench.device) for n in (shape.visible, shape.hidden)]
            paths = Paths(models, states, (zeros[0], zeros[1]), (zeros[0], zeros[1]))
            ladder = torch.linspace(0, 1, n_steps + 1, dtype=torch.float64, device=bench.device).repeat(replicas, 1)
            seconds = bench.seconds(functools.partial(paths.walk, ladder), 5)
            bench.row(replicas=replicas, hidden=n_hidden, chains=n_chains, steps=n_steps, seconds=seconds,
                      microseconds_a_step=1e6 * seconds / n_steps, tiles=str(paths.tiles))  # fmt: skip
