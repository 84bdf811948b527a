"""Transitions of planted models: exact order parameters, predicted and measured critical updates, following modes."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.special import gammaln

from rbmscape import RBM, Estimate, Modes
from rbmscape.diffusion.bosons import dressed_singular_values
from rbmscape.diffusion.reference import reference_point
from rbmscape.errors import InputError, ShapeError
from rbmscape.sampling.diagnostics import r_hat
from rbmscape.sampling.draws import Draws, gibbs_draws
from rbmscape.symmetry.order import CRITICAL_BINDER, order_parameter
from rbmscape.symmetry.transitions import (
    critical_fluctuations,
    critical_update,
    follow_modes,
    mode_coordinates,
    over_replicas,
)


def dressed_values(rbm, reference, beta=1.0):
    """β times the dressed singular values at a reference: a mode above 1 is unstable."""
    return beta * dressed_singular_values(rbm, reference_point(rbm, reference, None, beta))


def uniform_model(strength, n, m):
    """Curie-Weiss on two layers: W = λ 11ᵀ/√(NM), biases that make 0 and 1 symmetric."""
    weights = np.full((n, m), strength / math.sqrt(n * m))
    return RBM(weights, -0.5 * weights.sum(1), -0.5 * weights.sum(0))


def exact_moments(strength, n, m):
    """⟨u²⟩ and Binder cumulant of u by summing over the numbers of active units."""
    ups, downs = np.arange(n + 1), np.arange(m + 1)
    x, y = (ups - n / 2) / math.sqrt(n), (downs - m / 2) / math.sqrt(m)
    log_p = (-gammaln(ups + 1) - gammaln(n - ups + 1))[:, None] - gammaln(downs + 1) - gammaln(m - downs + 1)
    log_p = log_p + strength * np.outer(x, y)
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    u = (x[:, None] + y) / math.sqrt(2)
    second, fourth = (p * u**2).sum(), (p * u**4).sum()
    return second, 1 - fourth / (3 * second**2)


def planted_draws(strength, n=100, m=80, seed=0):
    rbm = uniform_model(strength, n, m)
    return rbm, gibbs_draws(rbm, n_chains=200, burn_in=200, n_draws=10, thin=10, seed=seed)


def planted_order(strength, n=100, m=80, seed=0):
    rbm, draws = planted_draws(strength, n, m, seed)
    return mode_coordinates(Modes.of(rbm), draws, [0])[0][..., 0]


@pytest.mark.parametrize("strength", [2.0, 3.8, 5.0])
def test_order_parameter_of_the_planted_model_is_exact(strength):
    draws = planted_order(strength)
    found = order_parameter(draws, centre=0.0)
    assert found.mean.ess > 150
    second, binder = exact_moments(strength, 100, 80)
    # Fixed seeds; 4 standard errors are left by chance once in 16 000.
    assert abs(found.binder.z_score(binder)) < 4
    assert abs(order_parameter(draws**2).mean.z_score(second)) < 4
    other, wrong = exact_moments(strength * 1.3, 100, 80)
    assert max(abs(found.binder.z_score(wrong)), abs(order_parameter(draws**2).mean.z_score(other))) > 4
    if strength < 4:
        assert float(r_hat(draws)) < 1.05


def test_predicted_and_measured_critical_updates_of_a_planted_run_agree():
    updates = np.array([12, 18, 24, 28, 32, 36, 44, 60])
    strengths = 4.0 * updates / 30.0  # crosses 4 at update 30
    models = [uniform_model(s, 200, 150) for s in strengths]
    dressed = [dressed_values(rbm, "uniform")[0] for rbm in models]
    predicted = critical_update(updates, dressed, 1.0)
    assert predicted.value == pytest.approx(30.0, abs=predicted.stderr)
    orders = [order_parameter(planted_order(s, 200, 150, seed=k), centre=0.0).binder for k, s in enumerate(strengths)]
    measured = critical_update(updates, [o.value for o in orders], CRITICAL_BINDER, [o.stderr for o in orders])
    assert measured.stderr < 2
    assert abs(measured.value - predicted.value) < 2 * math.hypot(measured.stderr, predicted.stderr)
    # Negative control: the instability at beta = 1.6 is elsewhere.
    cold = critical_update(updates, [dressed_values(rbm, "uniform", 1.6)[0] for rbm in models], 1.0)
    assert abs(measured.value - cold.value) > 3 * math.hypot(measured.stderr, cold.stderr)


def test_dressed_singular_values():
    rbm = RBM.random(9, 6, std=0.5, seed=2).to(dtype=torch.float64)
    plain = torch.linalg.svdvals(rbm.weights).numpy()
    np.testing.assert_allclose(dressed_values(rbm, "uniform", beta=2.0), 2.0 * plain / 4)
    m, n = np.linspace(0.1, 0.9, 9), np.linspace(0.2, 0.8, 6)
    dressed = np.diag(np.sqrt(m * (1 - m))) @ rbm.weights.numpy() @ np.diag(np.sqrt(n * (1 - n)))
    expected = np.linalg.svd(dressed, compute_uv=False)
    np.testing.assert_allclose(dressed_values(rbm, (m, n))[:3], expected[:3])
    # A mean-field solution that is a minimum is stable, on both sides of the transition.
    for strength in (3.0, 6.0):
        assert dressed_values(uniform_model(strength, 20, 15), "mean_field")[0] < 1
    assert dressed_values(uniform_model(6.0, 20, 15), "uniform")[0] > 1


def test_critical_update_interpolates_in_the_logarithm():
    updates = np.array([0, 1, 10, 100, 1000])
    found = critical_update(updates, np.log10([1, 1, 10, 100, 1000]), 1.5)
    assert found.value == pytest.approx(10**1.5)
    assert found.stderr == pytest.approx(90 / math.sqrt(12))
    noisy = critical_update(updates, np.log10([1, 1, 10, 100, 1000]), 1.5, np.full(5, 0.1))
    # d ln t = ln 10 · 0.1 · √(share² + (1-share)²) at share ½.
    expected = math.hypot(10**1.5 * math.log(10) * 0.1 * math.sqrt(0.5), 90 / math.sqrt(12))
    assert noisy.stderr == pytest.approx(expected, rel=0.2)
    at_zero = critical_update([0, 3], [0.0, 2.0], 1.0)
    assert at_zero.value == pytest.approx(1.0)  # √(1·4) - 1


def test_critical_update_ignores_a_single_outlier_and_reports_none():
    updates = [1, 2, 4, 8, 16, 32]
    found = critical_update(updates, [0, 5, 0, 0, 2, 2], 1.0)
    assert 8 < found.value < 16
    within_noise = critical_update(updates, [0, 1.5, 0, 0, 2, 2], 1.0, np.full(6, 0.5))
    assert 8 < within_noise.value < 16
    certain = critical_update(updates, [0, 5, 0, 0, 2, 2], 1.0, np.full(6, 0.5))
    assert 1 < certain.value < 2
    assert math.isnan(critical_update(updates, np.zeros(6), 1.0).value)
    assert critical_update(updates, np.full(6, 2.0), 1.0).value == 1.0


def test_replicas_are_averaged_with_their_spread():
    replicas = [Estimate(30.0, 1.0), Estimate(34.0, 1.0), Estimate(35.0, 1.0)]
    mean = over_replicas(replicas)
    assert mean.value == pytest.approx(33.0)
    assert mean.stderr == pytest.approx(math.hypot(np.std([30, 34, 35], ddof=1) / math.sqrt(3), 1.0))
    assert over_replicas(replicas[:1]) == Estimate(30.0, 1.0, 1.0)
    assert math.isnan(over_replicas([*replicas, Estimate(math.nan, math.nan)]).value)


def rotated_run(n_checkpoints=9):
    """Two modes whose singular values cross half-way and whose left vectors turn slowly; signs given at random."""
    generator = np.random.default_rng(0)
    left = np.linalg.qr(generator.standard_normal((12, 12)))[0]
    right = np.linalg.qr(generator.standard_normal((9, 9)))[0]
    models = []
    for step in range(n_checkpoints):
        angle = 0.05 * step
        u1, u2 = left[:, 0] * math.cos(angle) + left[:, 3] * math.sin(angle), left[:, 1]
        first, second = 2.0 + 0.5 * step, 4.2
        weights = first * np.outer(u1, right[:, 0]) + second * np.outer(u2, right[:, 1])
        weights += 0.3 * np.outer(left[:, 2], right[:, 2])
        models.append(RBM(weights, np.zeros(12), np.zeros(9)).to(dtype=torch.float64))
    return models, left


def test_following_modes_by_overlap_crosses_and_by_index_does_not():
    models, left = rotated_run()
    positions, by_overlap = zip(*follow_modes(models, "overlap"), strict=True)
    assert positions == tuple(range(len(models)))[::-1]
    for modes in by_overlap:
        assert abs(float(modes.left[:, 0] @ torch.from_numpy(left[:, 0]))) > 0.85
    values = [float(modes.singular_values[0]) for modes in by_overlap]
    assert np.all(np.diff(values) < -0.4)
    by_index = [modes for _, modes in follow_modes([lambda m=m: m for m in models], "index")]
    for modes in by_index:
        assert float(modes.singular_values[0]) >= float(modes.singular_values[1])
    for series in (by_overlap, by_index):
        for previous, current in pairwise(series):
            # Continuous signs: no mode turns round between checkpoints.
            overlaps = (previous.left[:, :3] * current.left[:, :3]).sum(0) + (
                previous.right[:, :3] * current.right[:, :3]
            ).sum(0)
            assert float(overlaps.min()) > -1e-6


def test_draws_are_projected_by_the_modes():
    rbm = RBM.random(10, 7, std=0.4, seed=1)
    modes = Modes.of(rbm)
    draws = gibbs_draws(rbm, n_chains=5, burn_in=3, n_draws=2, thin=1)
    u, w = mode_coordinates(modes, draws, [0, 3])
    coordinates = modes.project(draws.v, draws.h)
    np.testing.assert_allclose(u, coordinates.u[..., [0, 3]].numpy(), atol=1e-12)
    np.testing.assert_allclose(w, coordinates.w[..., [0, 3]].numpy(), atol=1e-12)
    assert not torch.equal(draws.v[:, 0], draws.v[:, 1])


def test_draws_start_from_given_states():
    # Strong weights that copy one hidden unit to all pixels: chains stay in the well that they start in.
    frozen = RBM(torch.full((20, 1), 40.0), torch.full((20,), -20.0), torch.full((1,), -400.0))
    start = np.stack([np.zeros(20), np.ones(20)])
    draws = gibbs_draws(frozen, n_chains=6, burn_in=20, n_draws=1, start=start)
    assert draws.v[:, 0].float().mean(1).tolist() == [0, 1, 0, 1, 0, 1]


def test_critical_fluctuations_of_independent_bits_and_of_a_planted_mode():
    generator = np.random.default_rng(0)
    free = RBM(np.zeros((30, 20)), generator.normal(0, 1.5, 30), generator.normal(0, 1.5, 20))
    draws = gibbs_draws(free, n_chains=400, burn_in=1, n_draws=10, thin=1)
    # Weights that the bits were not drawn with give directions without fluctuations: ratio 1 (fixed seed, |z| < 4).
    found = critical_fluctuations(RBM.random(30, 20, std=0.1, seed=1), draws, n_modes=3)
    assert all(abs(order.susceptibility.z_score(1.0)) < 4 for order in found.orders)
    m, n = draws.v.double().mean((0, 1)), draws.h.double().mean((0, 1))
    expected = dressed_values(RBM.random(30, 20, std=0.1, seed=1), (m, n))[:3]
    np.testing.assert_allclose(found.dressed, expected, rtol=1e-6)
    # Rank one at activities ½: the ratio is 4⟨u²⟩, which sums over states give exactly.
    rbm, draws = planted_draws(3.0)
    planted = critical_fluctuations(rbm, draws, n_modes=1)
    assert planted.dressed[0] == pytest.approx(0.75, abs=0.01)
    ratio = planted.orders[0].susceptibility
    assert abs(ratio.z_score(4 * exact_moments(3.0, 100, 80)[0])) < 4
    assert ratio.value < 4.0  # Gaussian theory gives 1/(1 - ¾), finite layers less


def test_critical_ratio_is_that_of_large_layers_at_the_transition():
    for size, tolerance in ((400, 0.08), (1600, 0.04)):
        exact = 4 * exact_moments(4.0, size, size)[0]
        draws = Draws(torch.tensor([[[0] * size], [[1] * size]]), torch.tensor([[[0] * size], [[1] * size]]))
        found = critical_fluctuations(uniform_model(4.0, size, size), draws, n_modes=1)
        assert found.dressed[0] == pytest.approx(1.0)
        assert found.critical_ratio[0] == pytest.approx(exact, rel=tolerance)


def test_fluctuations_measure_the_transition_of_a_planted_run():
    updates = np.array([18, 22, 25, 28, 31, 35, 40])
    found = []
    for k, update in enumerate(updates):
        rbm, draws = planted_draws(4.0 * update / 30.0, 200, 150, seed=k)
        found.append(critical_fluctuations(rbm, draws, n_modes=1))
    ratios = [x.orders[0].susceptibility for x in found]
    excess = [math.log(r.value / x.critical_ratio[0]) for r, x in zip(ratios, found, strict=True)]
    measured = critical_update(updates, excess, 0.0, [r.stderr / r.value for r in ratios])
    assert measured.stderr < 2
    assert abs(measured.value - 30.0) < 2 * measured.stderr
    # In the paramagnet the fluctuations are those of Gaussian theory but for the finite size.
    assert 1 - 1 / ratios[0].value == pytest.approx(found[0].dressed[0], abs=0.05)
    assert found[0].dressed[0] == pytest.approx(18 / 30, abs=0.01)


def test_units_that_never_change_have_no_part_in_any_mode():
    """Units 0 and 3 are always off and on: what is left are the pairs 1 and 2, each with its own dressed value."""
    rbm = RBM(torch.eye(4), torch.tensor([-300.0, 0, 0, 300]), torch.zeros(4))
    draws = gibbs_draws(rbm, n_chains=50, burn_in=5, n_draws=4)
    found = critical_fluctuations(rbm, draws, n_modes=2)
    spread_v, spread_h = (layer.double().std((0, 1), correction=0) for layer in (draws.v, draws.h))
    np.testing.assert_allclose(found.dressed, (spread_v * spread_h)[1:3].sort(descending=True).values)
    assert np.isfinite(found.coordinates).all()
    assert np.abs(found.coordinates).max() < math.sqrt(2) * 1.5  # two bits, each within about one of its deviations


def test_bad_input_is_refused():
    rbm = RBM.random(6, 5)
    modes = Modes.of(rbm)
    with pytest.raises(InputError, match="modes run from 0 to 4"):
        mode_coordinates(modes, gibbs_draws(rbm, n_chains=2, burn_in=0, n_draws=1), [5])
    with pytest.raises(InputError, match="modes run from 0 to 4"):
        critical_fluctuations(rbm, gibbs_draws(rbm, n_chains=2, burn_in=0, n_draws=1), n_modes=6)
    with pytest.raises(InputError, match="n_draws must be a whole number of at least 1"):
        gibbs_draws(rbm, n_draws=0)
    with pytest.raises(ShapeError, match="start states"):
        gibbs_draws(rbm, start=np.zeros(6))
    with pytest.raises(InputError, match="'index' or 'overlap'"):
        list(follow_modes([rbm], "sign"))
    with pytest.raises(ShapeError, match="same size"):
        list(follow_modes([rbm, RBM.random(6, 4)]))
    with pytest.raises(ShapeError, match="as many values"):
        critical_update([1, 2], [1, 2, 3], 1.0)
    with pytest.raises(InputError, match="at least one replica"):
        over_replicas([])
