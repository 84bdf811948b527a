"""Relaxation of Gibbs sampling against the exact kernel: below, at and beyond the transition."""

import math

import numpy as np
import pytest

from rbmscape.diffusion.curie_weiss import CurieWeiss
from rbmscape.diffusion.slowing import CRITICAL_GAP, critical_rate, slow_modes, theory_rate
from rbmscape.errors import InputError, ShapeError


def balanced_start(size, n_chains=100):
    """States and their complements, so that both wells are equally full from the beginning."""
    half = np.random.default_rng(1).integers(0, 2, (n_chains // 2, size))
    return np.concatenate([half, 1 - half])


@pytest.mark.statistical
@pytest.mark.parametrize(("dressed", "n_steps"), [(0.5, 400), (0.9, 1500), (1.0, 1500), (1.1, 4000)])
def test_measured_rates_are_those_of_the_exact_kernel(dressed, n_steps):
    """|z| < 4 for four rates (false alarm 3e-4), errors of at most 8 %; half-sweeps would be more than 10 off."""
    model = CurieWeiss(100, 100, dressed)
    found = slow_modes(model.rbm(), balanced_start(100), 1, n_steps=n_steps, burn_in=200, seed=3)
    (rate,), (time,) = found.rates, found.times
    assert rate is not None
    assert time is not None
    exact = 1 / model.relaxation_time()
    assert rate.ess > 1000
    assert abs(rate.z_score(exact)) < 4
    assert rate.stderr < 0.08 * exact
    assert abs(rate.z_score(exact / 2)) > 10
    assert found.dressed[0] == pytest.approx(dressed, rel=0.01)
    assert found.visible_units[0] == pytest.approx(100, rel=1e-3)
    assert found.theory[0] == pytest.approx(exact, rel=0.1)


def test_rate_at_the_transition_falls_with_the_root_of_the_size():
    """Corrections fall as 1/√N: their extrapolation is within a percent of the limit, for unequal layers, too."""
    for hidden in (1.0, 2.5):
        ratio = [theory_rate(1.0, n, hidden * n) / critical_rate(n, hidden * n) for n in (144, 576)]
        assert 2 * ratio[1] - ratio[0] == pytest.approx(1.0, abs=0.01)
    assert critical_rate(100, 100) == pytest.approx(CRITICAL_GAP * math.sqrt(2 / 300))


def test_rate_below_the_transition_is_the_square_of_the_dressed_value():
    assert theory_rate(0.5, 1500, 1500) == pytest.approx(-2 * math.log(0.5), rel=1e-3)


def test_modes_that_are_too_slow_have_no_rate():
    model = CurieWeiss(100, 100, 1.3)
    found = slow_modes(model.rbm(), balanced_start(100), 2, n_steps=300, burn_in=50)
    assert found.rates[0] is None
    assert found.longest == 30
    assert 1 / found.theory[0] > found.longest
    assert found.rates[1] is not None


def test_bad_input_is_refused():
    rbm = CurieWeiss(6, 5, 0.5).rbm()
    with pytest.raises(ShapeError, match="n_chains >= 2"):
        slow_modes(rbm, np.zeros((1, 6)))
    with pytest.raises(InputError, match="n_steps"):
        slow_modes(rbm, np.zeros((2, 6)), n_steps=1)
    with pytest.raises(InputError, match="visible_units"):
        critical_rate(0, 5)
