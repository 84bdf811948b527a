"""Hysteresis of the bipartite Curie-Weiss model against its spinodal, by mean field and by chains, and refusals."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from rbmscape import RBM, hysteresis
from rbmscape.diffusion.curie_weiss import CurieWeiss, spinodal
from rbmscape.diffusion.hysteresis import closing_field
from rbmscape.errors import InputError, UnresolvedError


def upper_root(d, h):
    """The state along the field of m = tanh(d m + h), also for small negative h."""
    low = math.sqrt(1 - 1 / d) if h < 0 else 1e-9
    return brentq(lambda m: math.tanh(d * m + h) - m, low, 1.0)


@pytest.mark.parametrize("dressed", [1.1, 1.5, 2.5])
def test_mean_field_loop_of_the_curie_weiss_model_is_exact(dressed):
    """Jumps at the spinodal within the grid, magnetisation before the jump, and the area; the loop is symmetric."""
    found = hysteresis(CurieWeiss(60, 60, dressed).rbm())
    m_s, h_s = spinodal(dressed)
    step = found.fields[1] - found.fields[0]
    assert abs(found.jump_up.field.value - h_s) < 0.51 * step
    assert found.jump_up.field.stderr == pytest.approx(step / math.sqrt(12))
    assert found.jump_down.field.value == pytest.approx(-found.jump_up.field.value, abs=1e-9)
    before = int(np.argmax(np.abs(np.diff(found.up))))
    assert found.up[before] == pytest.approx(-upper_root(dressed, -found.fields[before]), abs=1e-6)
    assert found.up[before] < -m_s
    exact = quad(lambda h: upper_root(dressed, h) + upper_root(dressed, -h), -h_s + 1e-12, h_s - 1e-12, limit=200)[0]
    assert found.area.value == pytest.approx(exact, abs=2.5 * step)
    assert found.is_open
    assert found.unconverged == 0
    np.testing.assert_allclose(found.up, -found.down[::-1], atol=1e-6)


def test_no_loop_below_the_transition():
    found = hysteresis(CurieWeiss(60, 60, 0.8).rbm())
    assert not found.is_open
    assert abs(found.jump_up.size) < 0.02
    assert abs(found.area.value) < 1e-8


def test_loop_of_unequal_layers_with_biased_units_is_followed_along_its_mode():
    """A random gauge of the units changes nothing: the mode is followed along its own vectors, also by TAP."""
    model = CurieWeiss(60, 40, 1.4).rbm()
    generator = np.random.default_rng(0)
    flip_v, flip_h = (generator.choice([-1.0, 1.0], n) for n in (60, 40))
    weights = flip_v[:, None] * model.weights.numpy() * flip_h
    turned = RBM(weights, -weights.sum(1) / 2, -weights.sum(0) / 2)
    fields = np.linspace(-0.5, 0.5, 101)
    for order in (1, 2):
        plain, gauged = (hysteresis(rbm, fields=fields, order=order) for rbm in (model, turned))
        assert gauged.area.value == pytest.approx(plain.area.value, abs=1e-6)
        assert plain.is_open


@pytest.mark.statistical
def test_chains_turn_between_zero_and_the_spinodal_and_not_at_all_below_the_transition():
    """The area of a closed loop is 0 within 4 errors (false alarm 1e-4)."""
    fields = np.linspace(-0.8, 0.8, 41)
    strong = hysteresis(CurieWeiss(200, 200, 2.0).rbm(), fields=fields, method="gibbs", n_steps=30, n_chains=16)
    h_s = spinodal(2.0)[1]
    assert 0.6 * h_s < strong.jump_up.field.value < h_s + 4 * strong.jump_up.field.stderr
    assert strong.is_open
    assert strong.jump_up.size > 1.5
    weak = hysteresis(CurieWeiss(60, 60, 0.5).rbm(), fields=fields, method="gibbs", n_steps=30, n_chains=32)
    assert abs(weak.area.value) < 4 * weak.area.stderr
    assert not weak.is_open
    exact = [CurieWeiss(60, 60, 0.5, float(h)).layer_distribution() for h in fields]
    mean = np.array([((s[:, None] + t) * p).sum() / 2 for s, t, p in exact])
    errors = np.hypot(weak.up_stderr, 1e-9)
    # 41 fields, |z| < 4.5: false alarm 3e-4.  Fields change by steps, and half of the sweeps are left out.
    assert np.abs((weak.up - mean) / errors).max() < 4.5


def test_bad_input_is_refused():
    rbm = CurieWeiss(20, 20, 2.0).rbm()
    with pytest.raises(InputError, match="do not turn the mode"):
        hysteresis(rbm, fields=np.linspace(-0.1, 0.1, 11))
    with pytest.raises(InputError, match="five or more rising numbers"):
        hysteresis(rbm, fields=[1.0, 0.0, -1.0])
    with pytest.raises(InputError, match="mode"):
        hysteresis(rbm, mode=20)
    with pytest.raises(InputError, match="method"):
        hysteresis(rbm, method="newton")
    with pytest.raises(UnresolvedError, match="no field up to 64"):
        closing_field(CurieWeiss(20, 20, 100.0).rbm())


def test_a_mode_is_any_whole_number():
    rbm = RBM.random(6, 5, std=1.0, seed=1)
    fields = np.linspace(-1, 1, 7)
    one, other = (hysteresis(rbm, mode, fields) for mode in (1, np.float64(1)))
    np.testing.assert_array_equal(one.up, other.up)
