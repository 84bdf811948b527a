"""Landau coefficients against finite differences of the constraint potential, the symmetric transition, wells."""

import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rbmscape import RBM, EffectivePotential, Landau, Modes, landau, mean_field
from rbmscape.diffusion.reference import reference_point
from rbmscape.errors import DataError, InputError
from rbmscape.symmetry.landau import landau_modes, reachable_range


def random_model(n=6, m=4, seed=0, scale=0.8):
    generator = np.random.default_rng(seed)
    return RBM(
        scale * generator.standard_normal((n, m)), generator.standard_normal(n), generator.standard_normal(m)
    ).to(dtype=torch.float64)


def symmetric_model(strength, n=12, m=8, seed=1):
    """Rank-one weights λ u vᵀ with biases that make all activities ½ a solution, so that μ is the saddle."""
    generator = np.random.default_rng(seed)
    u, v = (np.abs(generator.standard_normal(k)) for k in (n, m))
    weights = strength * np.outer(u / np.linalg.norm(u), v / np.linalg.norm(v))
    return RBM(weights, -0.5 * weights.sum(1), -0.5 * weights.sum(0)).to(dtype=torch.float64)


def averaged_coefficients(modes, point, mode, branch, variance):
    """Γ, Θ, Ψ, Φ at beta = 1 from finite differences, in 60 digits, of

        ⟨V⟩(ζ) = V(μ + ζ e_i) + (s²/2) Σ_{j≠i} ∂²_j V(μ + ζ e_i),

    the average over fluctuations to second order, with ∂²_j a difference quotient along each other coordinate."""
    mpmath.mp.dps = 60
    h = mpmath.mpf("1e-8")
    n, m, paired = modes.n_visible, modes.n_hidden, modes.n_paired
    root = math.sqrt(0.5)
    frame = np.zeros((n + m, n + m))
    frame[:n, :paired], frame[n:, :paired] = root * modes.left[:, :paired], root * modes.right[:, :paired]
    frame[:n, paired : 2 * paired] = -root * modes.left[:, :paired]
    frame[n:, paired : 2 * paired] = root * modes.right[:, :paired]
    if n > m:
        frame[:n, 2 * paired :] = modes.left[:, paired:]
    else:
        frame[n:, 2 * paired :] = modes.right[:, paired:]
    start = [mpmath.mpf(float(x)) for x in torch.cat([point.m, point.n])]
    axes = [[mpmath.mpf(float(x)) for x in frame[:, j]] for j in range(n + m)]
    index = mode + (paired if branch == "w" else 0)

    def constraint(steps):
        total = mpmath.mpf(0)
        for k, bit in enumerate(start):
            t = bit + sum(size * axes[j][k] for j, size in steps)
            total += t * mpmath.log(t) + (1 - t) * mpmath.log(1 - t)
        return total

    def averaged(zeta):
        base = constraint([(index, zeta)])
        total = base
        for j in range(n + m):
            if j != index and variance:
                sides = constraint([(index, zeta), (j, h)]) + constraint([(index, zeta), (j, -h)])
                total += variance / 2 * (sides - 2 * base) / h**2
        return total

    def held(zeta):
        return constraint([(index, zeta)])

    t = mpmath.mpf("1e-5")
    gamma = (averaged(t) - averaged(-t)) / (2 * t)
    theta = (averaged(t) - 2 * averaged(mpmath.mpf(0)) + averaged(-t)) / (2 * t**2)
    # Cubic and quartic terms of the fluctuation average are of order six in V and left out of equation 54.
    psi = (held(2 * t) - 2 * held(t) + 2 * held(-t) - held(-2 * t)) / (2 * t**3) / 6
    phi = (held(2 * t) - 4 * held(t) + 6 * held(mpmath.mpf(0)) - 4 * held(-t) + held(-2 * t)) / t**4 / 24
    return np.array([float(x) for x in (gamma, theta, psi, phi)])


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5)])
@pytest.mark.parametrize("branch", ["u", "w"])
@pytest.mark.parametrize("reference", ["uniform", "data", "mean_field"])
def test_coefficients_equal_finite_differences(shape, branch, reference):
    rbm = random_model(*shape, seed=sum(shape))
    data = np.random.default_rng(3).integers(0, 2, (20, shape[0]))
    modes = Modes.of(rbm)
    point = reference_point(rbm, reference, data)
    result = landau(rbm, 1, branch, reference, data=data)
    expected = averaged_coefficients(modes, point, 1, branch, 0.25)
    found = np.array([result.gamma, result.theta, result.psi, result.phi])
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    assert np.abs(expected).max() > 0.1
    # Negative control: another variance of the fluctuations is told apart.
    other = landau(rbm, 1, branch, reference, data=data, fluctuation=1.0)
    assert abs(other.theta - expected[1]) > 1e-2


def test_temperature_divides_the_constraint_part_only():
    rbm = random_model()
    cold, hot = landau(rbm, 0, beta=2.0), landau(rbm, 0, beta=0.5)
    for name in ("gamma", "theta", "psi", "phi"):
        assert 2.0 * getattr(cold, name) == pytest.approx(0.5 * getattr(hot, name), abs=1e-12)
    assert cold.stiffness == hot.stiffness == pytest.approx(-float(torch.linalg.svdvals(rbm.weights)[0]))


def test_uniform_reference_has_the_paper_s_closed_form():
    rbm = random_model()
    modes = Modes.of(rbm)
    result = landau(rbm, 0, fluctuation=0.0)
    quartic = 8.0 * float((modes.left[:, 0] ** 4).sum() + (modes.right[:, 0] ** 4).sum())
    assert (result.gamma, result.psi) == pytest.approx((0.0, 0.0), abs=1e-13)
    assert result.theta == pytest.approx(2.0)
    assert result.phi == pytest.approx(quartic / 24)
    assert result.mu == pytest.approx(float(modes.random_state_mean().u[0]))
    assert landau(rbm, 0, fluctuation=0.25).theta == pytest.approx(2.0 + (32.0 - quartic) / 16)


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
def test_symmetric_transition_is_at_beta_lambda_four(beta):
    for scale, expected in ((1 - 1e-6, False), (1 + 1e-6, True)):
        result = landau(symmetric_model(4.0 / beta * scale), 0, beta=beta, fluctuation=0.0)
        assert result.is_double_well is expected
        assert result.mu == pytest.approx(0.0, abs=1e-12)
    wells = landau(symmetric_model(5.0 / beta), 0, beta=beta, fluctuation=0.0)
    # f = (2/β - λ/2) z² + Φ z⁴: minima at z² = -(2/β - λ/2)/2Φ, barrier (2/β - λ/2)²/4Φ.
    harmonic = 2.0 / beta - 2.5 / beta
    expected = math.sqrt(-harmonic / (2 * wells.phi))
    np.testing.assert_allclose(wells.minima(), [-expected, expected], rtol=1e-9)
    assert wells.barrier.from_left == pytest.approx(harmonic**2 / (4 * wells.phi))
    assert wells.asymmetry == pytest.approx(0.0, abs=1e-12)


def test_averaged_potential_moves_the_transition_and_w_never_orders():
    quartic = 24 * landau(symmetric_model(1.0), 0, fluctuation=0.0).phi
    threshold = 4.0 + (32.0 - quartic) / 8
    assert threshold > 6
    assert not landau(symmetric_model(threshold * (1 - 1e-6)), 0).is_double_well
    assert landau(symmetric_model(threshold * (1 + 1e-6)), 0).is_double_well
    assert not landau(symmetric_model(30.0), 0, branch="w").is_double_well


def test_value_is_the_slice_of_the_potential_to_fourth_order():
    rbm = random_model(scale=0.3)
    modes = Modes.of(rbm)
    potential = EffectivePotential(rbm, modes=modes)
    centre = modes.random_state_mean().z
    result = landau(rbm, 0, fluctuation=0.0, modes=modes)
    steps = np.array([-0.04, -0.02, 0.02, 0.04])
    points = centre.repeat(4, 1)
    points[:, 0] += torch.from_numpy(steps)
    exact = (potential.value(points) - potential.value(centre)).numpy()
    remainder = exact - (result.value(result.mu + steps) - result.value(result.mu))
    assert np.abs(exact).min() > 1e-4
    # Next term of the series: s⁽⁶⁾(½) = 768 Σ c⁶ ζ⁶/720, below 768/720 ζ⁶.
    assert np.all(np.abs(remainder) <= 1.1 * 768 / 720 * steps**6)


def test_mean_field_reference_is_a_stationary_point_of_the_held_potential():
    rbm = random_model(scale=2.0)
    solution = mean_field(rbm)
    for result in landau_modes(rbm, range(4), reference=solution, fluctuation=0.0):
        assert float(result.gradient(result.mu)) == pytest.approx(0.0, abs=1e-6)
    elsewhere = landau(rbm, 0, reference="uniform", fluctuation=0.0)
    assert abs(float(elsewhere.gradient(elsewhere.mu))) > 1e-2


@given(
    stiffness=st.floats(-50, 50),
    mu=st.floats(-3, 3),
    gamma=st.floats(-5, 5),
    theta=st.floats(0.5, 10),
    psi=st.floats(-5, 5),
    phi=st.floats(0.1, 5),
)
@settings(max_examples=150, deadline=None)
def test_minima_are_those_of_the_curve(stiffness, mu, gamma, theta, psi, phi):
    curve = Landau(0, "u", 1.0, 0.25, "given", stiffness, 0.0, mu, gamma, theta, psi, phi)
    minima = curve.minima()
    span = np.abs(minima - mu).max() + 1.0
    grid = np.linspace(mu - 3 * span, mu + 3 * span, 20001)
    lowest = curve.value(grid).min()
    scale = 1.0 + np.abs(curve.value(grid)).max()
    assert curve.value(minima).min() <= lowest + 1e-9 * scale
    slope_scale = 1.0 + np.abs(curve.gradient(grid)).max()
    assert np.abs(curve.gradient(minima)).max() <= 1e-7 * slope_scale
    if curve.is_double_well:
        assert minima[0] < curve.barrier.position < minima[1]
        assert min(curve.barrier.from_left, curve.barrier.from_right) >= -1e-9 * scale


def test_gauge_flip_mirrors_the_curve():
    rbm = random_model()
    modes = Modes.of(rbm)
    flipped = Modes(-modes.left, -modes.right, modes.singular_values, -modes.visible_bias, -modes.hidden_bias)
    one, other = (landau(rbm, 2, modes=x) for x in (modes, flipped))
    z = np.linspace(-2, 2, 9)
    np.testing.assert_allclose(one.value(z), other.value(-z), atol=1e-12)


def test_bad_input_is_refused():
    rbm = random_model()
    for mode in (4, -1, 1.5, "first", None, True, float("inf")):
        with pytest.raises(InputError, match="pass 0 to 3"):
            landau(rbm, mode)
    with pytest.raises(InputError, match="one of u, w"):
        landau(rbm, 0, branch="x")
    with pytest.raises(InputError, match="fluctuation"):
        landau(rbm, 0, fluctuation=-1.0)
    with pytest.raises(InputError, match="beta"):
        landau(rbm, 0, beta=0.0)
    with pytest.raises(DataError, match="needs the data"):
        landau(rbm, 0, reference="data")
    with pytest.raises(InputError, match="singular value 0"):
        landau(symmetric_model(3.0), 2)


@pytest.mark.parametrize("branch", ["u", "w"])
def test_reach_is_that_of_all_bit_states(branch):
    rbm = random_model(5, 4)
    modes = Modes.of(rbm)
    states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 9).double()
    z = getattr(modes.project(states[:, :5], states[:, 5:]), branch)
    for mode in range(4):
        low, high = reachable_range(modes, mode, branch)
        assert low == pytest.approx(float(z[:, mode].min()), abs=1e-9)
        assert high == pytest.approx(float(z[:, mode].max()), abs=1e-9)
    with pytest.raises(InputError):
        reachable_range(modes, 4)


def test_minima_of_the_truncated_curve_can_lie_where_no_state_is():
    """A strongly coupled mode spread over all units: two minima, both beyond the sums of its entries."""
    rbm = symmetric_model(40.0)
    curve, reach = landau(rbm, 0), reachable_range(Modes.of(rbm), 0)
    assert curve.is_double_well
    assert curve.minima_within(*reach).size < 2
    inside = landau(symmetric_model(4.5), 0, fluctuation=0.0)
    assert inside.minima_within(*reachable_range(Modes.of(symmetric_model(4.5)), 0)).size == 2
