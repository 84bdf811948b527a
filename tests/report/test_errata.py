"""The evidence behind each erratum, with the printed formulas as negative controls."""

import ast
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from rbmscape.diffusion.bosons import Bosons
from rbmscape.diffusion.fokker_planck import FokkerPlanck1D
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.coordinates import Coordinates
from rbmscape.reciprocal.modes import Modes
from rbmscape.report import errata_checks, errata_potential
from rbmscape.report.errata import ERRATA, run_checks
from rbmscape.runs.config import TrainingConfig

BY_KEY = {erratum.key: erratum for erratum in ERRATA}
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("erratum", [e for e in ERRATA if not e.of_study], ids=lambda erratum: erratum.key)
def test_numbers_tell_the_printed_form_from_ours(erratum):
    check = erratum.check(None)
    assert check.agrees, check.measured
    assert check.numbers


def test_all_three_methods_are_asked_for(make_evidence):
    check = BY_KEY["training-methods"].check
    assert check(make_evidence()).agrees
    one = check(make_evidence(recipes={"paper": TrainingConfig.paper()}))
    assert not one.agrees
    assert "missing: rdm and cd" in one.measured


def printed_projection(project):
    def projected(modes, v, h=None):
        at = project(modes, v, h)
        return Coordinates(x=at.x, y=at.y, u=-at.w, w=at.u)

    return projected


def printed_matrix(curvature):
    omega = torch.diagonal(curvature) / 2
    return omega[:, None] * curvature


def printed_weights(n, m, _std, seed):
    weights = torch.randn(n, m, generator=torch.Generator().manual_seed(seed)) * 0.5**0.5
    return RBM(weights, torch.zeros(n), torch.zeros(m))


real_landau = errata_potential.landau
CONTROLS = {
    "rotation-signs": (Modes, "project", printed_projection(Modes.project)),
    "rate-factor": (Bosons, "relaxation_rates", property(lambda bosons: bosons.frequencies / 2)),
    "boson-matrix": (errata_checks, "schrodinger_matrix", printed_matrix),
    "constraint-inverse": (errata_checks.ConstraintDerivatives, "hessian", lambda *_: 4 * torch.eye(4).numpy()),
    "fluctuation-variance": (errata_checks, "DEFAULT_FLUCTUATION", 1.0),
    "visible-conditional": (
        RBM, "visible_probability", lambda rbm, h: torch.sigmoid(rbm.weights @ h + rbm.hidden_bias),
    ),
    "unpaired-bosons": (
        errata_potential, "boson_spectrum", lambda rbm, **_: SimpleNamespace(frequencies=torch.ones(rbm.n_visible)),
    ),
    "weight-density": (RBM, "random", printed_weights),
    "landau-multiplicity": (
        errata_potential, "landau",
        lambda *args, **options: SimpleNamespace(gamma=real_landau(*args, **options).gamma / 3),
    ),
    "eigenvalues-are-rates": (FokkerPlanck1D, "energies", property(lambda one: 1 / one.relaxation_rates.clip(1e-9))),
    "kurtosis-per-layer": (errata_checks, "haar_kurtosis", lambda _m: 3 - 6 / 102),
}  # fmt: skip


@pytest.mark.parametrize("key", list(CONTROLS))
def test_an_implementation_of_the_printed_form_is_noticed(key, monkeypatch):
    monkeypatch.setattr(*CONTROLS[key])
    assert not BY_KEY[key].check(None).agrees


def test_annealing_whose_directions_are_exchanged_is_noticed(monkeypatch):
    ahead, back = errata_checks.anneal, errata_checks.anneal_back
    samples = {}

    def from_the_model(path, schedule, n_chains, stream, annealer):
        assert n_chains == len(samples["model"])
        return back(path, schedule, samples["model"], stream, annealer)

    def from_the_base(path, schedule, start, stream, annealer):
        return ahead(path, schedule, len(start), stream, annealer)

    drawn = errata_checks.exact_samples

    def kept(*args, **options):
        v, h = drawn(*args, **options)
        samples["model"] = v.to(torch.uint8)
        return v, h

    monkeypatch.setattr(errata_checks, "exact_samples", kept)
    monkeypatch.setattr(errata_checks, "anneal", from_the_model)
    monkeypatch.setattr(errata_checks, "anneal_back", from_the_base)
    assert not BY_KEY["ais-directions"].check(None).agrees


@pytest.mark.parametrize("erratum", ERRATA, ids=lambda erratum: erratum.key)
def test_the_tests_that_are_named_exist(erratum):
    assert erratum.tests
    for name in erratum.tests:
        file, _, function = name.partition("::")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert function in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_checks_without_a_study_are_done_once():
    first, second = run_checks(), run_checks()
    assert set(first) == set(BY_KEY)
    assert all(first[key] is second[key] for key in BY_KEY if not BY_KEY[key].of_study)
