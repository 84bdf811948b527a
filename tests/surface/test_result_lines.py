"""Every model and result says in one line what it is, and compares without surprise."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import rbmscape as rs
from rbmscape.brief import OneLine, in_brief
from rbmscape.data.dataset import Contents
from rbmscape.data.ising import ising_exact
from rbmscape.data.packed import PackedBits
from rbmscape.data.tables import Columns
from rbmscape.diffusion.banded_levels import BandedLevels
from rbmscape.diffusion.cascade import cascade
from rbmscape.diffusion.curie_weiss import CurieWeiss
from rbmscape.diffusion.hysteresis import hysteresis
from rbmscape.diffusion.mode_potential import mode_potential
from rbmscape.diffusion.reference import reference_point
from rbmscape.diffusion.relaxation import autocorrelation
from rbmscape.diffusion.slowing import slow_modes
from rbmscape.diffusion.tap import MeanFieldProblem, iterate
from rbmscape.diffusion.tree import fixed_point_tree, fixed_points
from rbmscape.kernels.select import select_engine
from rbmscape.likelihood.annealing import anneal
from rbmscape.likelihood.bar import bennett
from rbmscape.likelihood.baselines import baselines
from rbmscape.likelihood.path import AnnealingPath
from rbmscape.likelihood.schedules import uniform_schedule
from rbmscape.likelihood.trajectory import OnlineLogPartition, trajectory_log_partition
from rbmscape.model.exact import exact_moments
from rbmscape.model.missing import partial_rows
from rbmscape.reciprocal.bulk import spectrum_test
from rbmscape.reciprocal.gaussianity import extrapolate_kurtosis, sampled_kurtosis
from rbmscape.reciprocal.landscape import landscape
from rbmscape.reciprocal.mixing import mixing_audit
from rbmscape.reciprocal.random_states import random_state_gaussianity
from rbmscape.rng import Stream
from rbmscape.runs.check import Finding
from rbmscape.runs.journal import Journal
from rbmscape.runs.layout import RunLayout
from rbmscape.runs.samples import run_samples
from rbmscape.sampling import gibbs
from rbmscape.sampling.draws import Draws
from rbmscape.sampling.kept import KeptLadder
from rbmscape.sampling.ladder import choose_ladder
from rbmscape.sampling.sequence import sequence_samples, sequence_settings
from rbmscape.symmetry.classes import ImageClasses
from rbmscape.symmetry.divergence import distances, null_divergences
from rbmscape.symmetry.growth import linear_growth, measured_growth
from rbmscape.symmetry.hierarchy import mode_effect, random_mode_rotation, rotated_samples
from rbmscape.symmetry.order import potential_of_mean_force
from rbmscape.symmetry.principal import align_with_components, principal_components
from rbmscape.symmetry.recovery import recovery
from rbmscape.symmetry.scaling import finite_size_scaling, measured_curve
from rbmscape.symmetry.transitions import critical_fluctuations

PACKAGES = ("model", "data", "sampling", "likelihood", "runs", "reciprocal", "diffusion", "symmetry", "stats")


def result_classes() -> set[type]:
    """Dataclasses and one-line classes that the modules of these packages offer."""
    found = set()
    for info in pkgutil.walk_packages(rs.__path__, "rbmscape."):
        if info.name.split(".")[1] in PACKAGES:
            module = importlib.import_module(info.name)
            offered = [getattr(module, name) for name in getattr(module, "__all__", ())]
            classes = {one for one in offered if inspect.isclass(one) and one.__module__ == info.name}
            found |= {one for one in classes if dataclasses.is_dataclass(one) or issubclass(one, OneLine)}
    return found


def made() -> Iterator[Any]:
    """What the public functions return for a small model with two strong modes."""
    images = rs.load_dataset("bars-and-stripes", image_shape=(3, 3))
    start = rs.RBM.random(9, 6, std=0.1, seed=1)
    values = torch.tensor([5.0, 4.5, 1.0, 0.5, 0.2, 0.1])
    modes = rs.Modes.of(start)
    weights = (modes.left[:, :6] * values) @ modes.right.T
    rbm = rs.RBM(weights, -weights.sum(1) / 2, -weights.sum(0) / 2)  # symmetric under the exchange of 0 and 1
    modes = rs.Modes.of(rbm)
    states = np.random.default_rng(0).integers(0, 2, (20, 9))
    hidden = np.random.default_rng(1).integers(0, 2, (20, 6))
    yield from (rs.describe(images), PackedBits(np.packbits(states, axis=1), 9), rs.quality(rbm, images, n_samples=50))
    yield rs.spin_parameters(rbm)
    yield from (images, rbm, modes, Contents(states), Columns(states, None, ("a",) * 9), exact_moments(rbm))
    yield from (modes.project(states), modes.aligned_to(rs.Modes.of(start)), landscape(modes, 0))
    law = rs.MarchenkoPastur(9, 6, 0.1)
    yield from (law, spectrum_test(law.rvs(6, seed=3), law, n_simulations=19), rs.kurtosis(rbm))
    yield from (sampled_kurtosis(rbm, n_states=1000), extrapolate_kurtosis([4, 8, 16], [1.5, 2.1, 2.6]))
    yield random_state_gaussianity(rbm, n_states=200)
    yield mixing_audit(rbm, images.train, training_steps=1, n_chains=20, factors=(1, 2), n_modes=2)
    yield ImageClasses.fit(states.astype(np.uint8), np.arange(20) % 2)
    potential = rs.EffectivePotential(rbm)
    yield potential.derivatives(potential.z(np.full(9, 0.4), np.full(6, 0.6)))
    yield from (rs.mean_field(rbm), potential, rs.FokkerPlanck1D(np.square, np.linspace(-2, 2, 9)))
    bosons = rs.boson_spectrum(rbm)
    yield from (bosons, bosons.levels(2)[1], rs.langevin(rbm, n_chains=4, n_steps=10, potential="entropic"))
    yield from (
        cascade([(0, start), (5, rbm)], "uniform"),
        MeanFieldProblem.of(rbm, 1.0),
        BandedLevels(np.ones((3, 2, 2)), 1.0),
    )
    yield mode_potential(modes, 0, reference_point(rbm))
    noise = np.random.default_rng(2).standard_normal((8, 400))
    yield autocorrelation(noise, min_ess=10)
    yield from (
        null_divergences(rbm, n_samples=3),
        distances(start.weights, rbm.weights),
        rs.landau(rbm, 0, fluctuation=0.0),
    )
    turned = rotated_samples(rbm, modes, hidden, random_mode_rotation(9, range(6), 2))
    yield from (turned, mode_effect(turned, (3, 3)), rs.random_rotation(9, 2), potential_of_mean_force(noise, 10))
    components = principal_components(images.train, 4)
    yield from (components, align_with_components(modes, components))
    draws = Draws(torch.as_tensor(states).reshape(4, 5, 9), torch.as_tensor(hidden).reshape(4, 5, 6))
    yield critical_fluctuations(rbm, draws, n_modes=2)
    growth = linear_growth(images.train, 2)
    yield growth
    yield measured_growth([start] * 8, range(8), np.arange(8.0), growth, batch_size=14, n_chains=14)
    model = CurieWeiss(40, 40, 1.5)
    both = np.repeat([[0], [1]], 40, axis=1).repeat(20, axis=0)
    yield from (model, hysteresis(model.rbm()), slow_modes(model.rbm(), both, 1, n_steps=200, burn_in=20))
    curves = [measured_curve([CurieWeiss(n, n, d).rbm() for d in (0.6, 1.0, 1.4)], n_chains=50) for n in (8, 16)]
    yield from (curves[0], finite_size_scaling(curves))
    yield recovery([rs.load_dataset("planted", n_train=20, n_test=0, seed=seed) for seed in (0, 1)])
    yield from (fixed_points(rbm, states), fixed_point_tree([start, rbm], [0, 5], states))
    m, n = (torch.full((1, size), 0.4, dtype=torch.float64) for size in (9, 6))
    yield iterate(MeanFieldProblem.of(rbm, 1.0), m, n, 0.0, 1e-9, 5)
    yield from (ising_exact((3, 3), 2.0), rs.spin_observables(np.resize(states, (40, 9)), (3, 3), 2.0, 10))
    yield from (rs.layer_overlaps(states), baselines(images))


def drawn() -> Iterator[Any]:
    """What sampling and the estimates of likelihoods return for three models of few units."""
    models = [rs.RBM.random(9, 6, std=std, seed=1) for std in (0.01, 0.5, 1.0)]
    rbm, rows, stream = models[-1], rs.load_dataset("bars-and-stripes", image_shape=(3, 3)).train, Stream(0, "lines")
    annealer = select_engine("reference").annealer()
    yield rs.sample(rbm, 8, 5)
    yield from (rs.equilibrium_samples(models, 40), rs.conditional_samples(rbm, [1.0, 0.0] + 7 * [np.nan]))
    yield sequence_samples(models, 0, (0, "lines"), sequence_settings({"n_chains": 40, "budget": 1e9}))
    yield choose_ladder(models, stream, annealer)
    sampler = gibbs.make_sampler(rbm, 4, stream, engine="reference")
    chains, info = gibbs.step(sampler, gibbs.init(gibbs.random_start(4, 9, stream)))
    yield from (sampler, chains, info)
    path = AnnealingPath.fit(rbm, torch.as_tensor(rows))
    ahead = anneal(path, uniform_schedule(20), 20, stream, annealer)
    yield from (path, ahead, bennett(ahead.log_weights, ahead.log_weights + 0.1, stream.numpy()))
    yield rs.log_partition(rbm, "ais", n_chains=20, n_betas=20)
    yield from (rs.log_probability(rbm, rows), rs.anomaly_scores(rbm, rows[:5], rows[5:]), partial_rows(rbm, rows))
    yield rs.likelihood_bracket(rbm, rows, n_chains=20, n_betas=20, max_betas=40, models=models, n_rounds=20)
    yield trajectory_log_partition(models, n_chains=20, n_rounds=20)
    yield OnlineLogPartition.start(rbm, torch.as_tensor(rows))
    config = rs.TrainingConfig(n_hidden=3, epochs=4, batch_size=14, n_chains=20, engine="reference")
    run = rs.train(rs.load_dataset("bars-and-stripes", image_shape=(2, 2)), config, progress=False)
    yield from (run, run_samples(run, n_chains=20, budget=1e6), rs.training_signs(run, n_chains=20, factors=(1, 2)))
    yield KeptLadder(tuple(models), tuple(torch.as_tensor(rows) for _ in models))
    journal = Journal.read(RunLayout(run.directory).metrics)
    yield from (journal, Finding(run.directory, "nothing is wrong", harmless=True))
    yield rs.Estimate(-66.06, 0.1, 412.0)


def parts(result: Any) -> Iterator[Any]:
    """A result and the results inside it, barriers and alignments among them."""
    yield result
    names = [field.name for field in dataclasses.fields(result)] if dataclasses.is_dataclass(result) else []
    for name in [*names, "barrier", "rate"]:
        value = getattr(result, name, None)
        for part in value if isinstance(value, tuple) else (value,):
            if dataclasses.is_dataclass(part) and part is not result:
                yield from parts(part)


@pytest.fixture(scope="module")
def examples() -> dict[type, Any]:
    found = {type(part): part for result in (*made(), *drawn()) for part in parts(result)}
    return {kind: part for kind, part in found.items() if not kind.__module__.startswith("rbmscape.kernels.")}


def test_every_result_has_an_example(examples):
    assert {one.__name__ for one in result_classes() - examples.keys()} == {"Optimizer"}, "a line of a table, no result"


def test_every_result_is_one_short_line(examples):
    for kind, example in examples.items():
        line = repr(example)
        assert line.startswith(f"{kind.__name__}("), line
        assert len(line) < 200, line
        assert "\n" not in line
        assert "tensor(" not in line, line
        assert "array(" not in line, line


def test_equality_is_a_plain_answer(examples):
    """Arrays make a generated == raise, or return an array."""
    for kind, example in examples.items():
        assert (example == example) is True, kind
        assert (example == copy.deepcopy(example)) in (True, False), kind
        assert (example == 0) is False, kind


def test_lines_carry_the_value_its_error_and_the_verdict(examples):
    lines = {kind.__name__: repr(example) for kind, example in examples.items()}
    assert lines["Estimate"] == "Estimate(-66.06 ± 0.10, ess 412)"
    assert "converged in " in lines["MeanField"]
    assert "2 unstable" in lines["Bosons"]
    assert "double well, barrier " in lines["Landau"]
    assert "trained " in lines["MixingReport"]
    assert "equilibrium" in lines["Samples"]
    assert "equilibrium" in lines["Tempered"]
    assert " ± " in lines["LogPartition"]
    assert re.search(r" ± .*, (converged|NOT converged), between .* and .*, gap ", lines["Bracket"])
    assert re.search(r"ln Z of 3 models from .* to .*, nothing speaks against", lines["LogPartitionCurve"])
    assert lines["Modes"] == "Modes(9 visible, 6 hidden, 6 singular values 5, 4.5, 1, …)"


def test_values_in_brief():
    assert in_brief(np.zeros((3, 4))) == "3 x 4"
    assert in_brief(torch.zeros(5)) == "(5,)"
    assert in_brief(rs.Estimate(1.0, 0.1)) == "1.00 ± 0.10"
    assert in_brief(list(range(10))) == "of 10"
    assert in_brief(0.123456) == "0.1235"


def test_no_class_that_holds_arrays_compares_them():
    """A generated ``==`` of arrays raises or gives an array: whoever holds arrays compares by identity."""
    holders = ("Tensor", "NDArray", "FloatArray", "Dataset", "RBM")
    found = []
    for module in pkgutil.walk_packages(rs.__path__, "rbmscape."):
        if module.name.endswith("__main__"):
            continue
        for cls in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(cls) and dataclasses.is_dataclass(cls) and cls.__module__ == module.name:
                fields = [str(field.type) for field in dataclasses.fields(cls)]
                if any(word in kind for kind in fields for word in holders) and "__eq__" in vars(cls):
                    found.append(f"{module.name}.{cls.__name__}")
    assert "rbmscape.model.rbm.RBM" not in found
    assert not found, "give these eq=False"
