"""Estimators of rates against processes whose rates are known; Gibbs sampling against its exact transition matrix."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rbmscape.diffusion.bosons import boson_spectrum, dressed_singular_values
from rbmscape.diffusion.cascade import cascade, crossings
from rbmscape.diffusion.reference import reference_point
from rbmscape.diffusion.relaxation import autocorrelation, displacement_rate, gibbs_rates, growth_rate
from rbmscape.errors import InputError, NotConvergedError, ShapeError, UnresolvedError
from rbmscape.model.exact import binary_states, exact_samples
from rbmscape.model.rbm import RBM
from rbmscape.reciprocal.modes import Modes


def ar1(rate: float, n_steps: int, n_chains: int, seed: int) -> np.ndarray:
    """Stationary AR(1) chains of unit variance and correlation e^{-rate·k}: (n_steps, n_chains)."""
    generator, ratio = np.random.default_rng(seed), math.exp(-rate)
    series = np.empty((n_steps, n_chains))
    series[0] = generator.standard_normal(n_chains)
    for k in range(1, n_steps):
        series[k] = ratio * series[k - 1] + math.sqrt(1 - ratio**2) * generator.standard_normal(n_chains)
    return series


@pytest.mark.parametrize("rate", [0.05, 0.3, 1.2])
def test_autocorrelation_of_an_ar1_process(rate: float) -> None:
    """τ and Γ within 4 standard errors, errors that cover: a wrong factor 2 in τ is more than 10 away."""
    found = autocorrelation(ar1(rate, 2000, 60, seed=1), interval=0.5)
    tau = 0.5 * (1 + math.exp(-rate)) / (2 * (1 - math.exp(-rate)))
    assert found.time.ess > 1000
    assert abs(found.time.z_score(tau)) < 4
    assert abs(found.rate.z_score(rate / 0.5)) < 4
    assert abs(found.time.z_score(2 * tau)) > 10
    np.testing.assert_allclose(found.correlation[:3], np.exp(-rate * np.arange(3)), atol=0.05)


def test_error_bar_of_the_correlation_time_covers() -> None:
    """Over 40 seeds the standard deviation of the estimates is the quoted one to 35 % (false alarm below 1e-3)."""
    found = [autocorrelation(ar1(0.3, 400, 24, seed)) for seed in range(40)]
    quoted = np.mean([result.rate.stderr for result in found])
    assert np.std([result.rate.value for result in found]) == pytest.approx(quoted, rel=0.4)


def test_displacement_and_growth_of_simulated_modes() -> None:
    generator = np.random.default_rng(0)
    times = np.linspace(0, 1, 11)
    series = np.empty((11, 4000))
    for rate, estimator in ((2.0, displacement_rate), (-3.0, displacement_rate)):
        series[0], ratio = 1.5, math.exp(-rate * 0.1)
        spread = math.sqrt((1 - ratio**2) / rate)
        for k in range(1, 11):
            series[k] = ratio * series[k - 1] + spread * generator.standard_normal(4000)
        estimate = estimator(times, series)
        assert abs(estimate.z_score(rate)) < 4
        assert estimate.stderr < 0.05 * abs(rate)
    assert abs(growth_rate(times, series, 1.0).z_score(3.0)) < 4
    with pytest.raises(UnresolvedError, match="no faster than free diffusion"):
        growth_rate(times, 0.1 * generator.standard_normal((11, 50)), 1.0)


def test_unsupported_estimates_are_refused() -> None:
    slow = ar1(0.002, 200, 10, seed=3)
    with pytest.raises(NotConvergedError, match="run them longer"):
        autocorrelation(slow)
    with pytest.raises(UnresolvedError, match="use more chains"):
        displacement_rate([0.0, 1.0], np.random.default_rng(0).standard_normal((2, 50)))
    with pytest.raises(InputError, match="never changes"):
        autocorrelation(np.ones((50, 4)))
    with pytest.raises(ShapeError):
        autocorrelation(np.ones(50))


def exact_gibbs_correlation(rbm: RBM, column: np.ndarray, n_lags: int) -> np.ndarray:
    """Normalised autocorrelation of column·v from the transition matrix of v → h → v over all visible states."""
    v, h = binary_states(rbm.n_visible), binary_states(rbm.n_hidden)
    hidden = rbm.hidden_probability(v)
    visible = rbm.visible_probability(h)
    up = torch.where(h[None] > 0, hidden[:, None], 1 - hidden[:, None]).prod(-1)
    down = torch.where(v[None] > 0, visible[:, None], 1 - visible[:, None]).prod(-1)
    step = (up @ down).numpy()
    weights = torch.softmax(-rbm.free_energy(v), 0).numpy()
    values = v.numpy() @ column
    values = values - weights @ values
    moved, found = values.copy(), []
    for _ in range(n_lags):
        found.append(weights @ (values * moved))
        moved = step @ moved
    return np.array(found) / found[0]


def test_gibbs_autocorrelation_against_the_transition_matrix() -> None:
    generator = np.random.default_rng(4)
    rbm = RBM(generator.normal(0, 0.8, (8, 6)), generator.normal(0, 0.3, 8), generator.normal(0, 0.3, 6))
    modes = Modes.of(rbm)
    start = exact_samples(rbm, 400, seed=1)[0]
    found = gibbs_rates(rbm, modes, [0, 1], start, n_steps=600, burn_in=0, seed=2)
    for mode in (0, 1):
        exact = exact_gibbs_correlation(rbm, modes.left[:, mode].numpy(), 200)
        result = found[mode]
        assert result is not None
        assert result.time.ess > 5000
        tau = 0.5 + exact[1:].sum()
        assert abs(result.time.z_score(tau)) < 4
        assert abs(result.time.z_score(tau + 0.5)) > 6  # a sweep more or less would be seen


def test_gibbs_sweep_multiplies_a_weak_mode_by_its_dressed_value_squared() -> None:
    """-2 ln(βd) a sweep in the limit of many bits; a half-sweep count, -ln(βd), is far off."""
    generator = np.random.default_rng(5)
    left, right = generator.standard_normal(150), generator.standard_normal(100)
    weights = 2.8 * np.outer(left / np.linalg.norm(left), right / np.linalg.norm(right))
    rbm = RBM(weights, -weights.sum(1) / 2, -weights.sum(0) / 2)
    modes = Modes.of(rbm)
    start = generator.integers(0, 2, (300, 150))
    (result,) = gibbs_rates(rbm, modes, [0], start, n_steps=500, burn_in=50, seed=3)
    dressed = dressed_singular_values(rbm, reference_point(rbm))[0]
    assert result is not None
    assert result.rate.value == pytest.approx(-2 * math.log(dressed), rel=0.06)
    assert abs(result.rate.z_score(-math.log(dressed))) > 10
    rate = boson_spectrum(rbm).relaxation_rates[0]
    assert rate == pytest.approx(4 * (1 - dressed), rel=1e-6)


def test_cascade_of_crossings() -> None:
    """A planted model whose modes grow as known powers of the update: each crosses 4 where it should."""
    generator = np.random.default_rng(6)
    left = np.linalg.qr(generator.standard_normal((20, 3)))[0]
    right = np.linalg.qr(generator.standard_normal((15, 3)))[0]

    def model(update: int) -> RBM:
        strengths = np.array([0.5, 0.2, 0.01]) * update
        return RBM(left @ np.diag(strengths) @ right.T, np.zeros(20), np.zeros(15))

    updates = [0, *np.unique(np.logspace(0, 2, 60).astype(int))]
    found = cascade([(update, model(update)) for update in updates], "uniform", n_modes=3)
    np.testing.assert_allclose(found.crossing[:2], [8.0, 20.0], rtol=0.02)
    assert np.isnan(found.crossing[2])
    assert found.n_unstable[0] == 0
    assert found.n_unstable[-1] == 2
    np.testing.assert_allclose(crossings([0, 10], [[2.0], [3.0]], 1.0), [0.0])
    with pytest.raises(InputError, match="at least one checkpoint"):
        cascade([])
