"""The bipartite Curie-Weiss model: sums over states against enumeration, exact kernel, limits, known numbers."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from rbmscape.diffusion.curie_weiss import CurieWeiss, spinodal
from rbmscape.errors import InputError
from rbmscape.model.exact import binary_states, exact_moments
from rbmscape.symmetry.order import CRITICAL_BINDER


def test_layer_distribution_and_kernel_against_enumeration():
    model = CurieWeiss(4, 3, 0.8, field=0.3)
    rbm = model.rbm()
    s, t, p = model.layer_distribution()
    exact = exact_moments(rbm)
    assert float((p * s[:, None]).sum()) == pytest.approx(float((2 * exact.visible - 1).mean()), abs=1e-12)
    assert float((p * t).sum()) == pytest.approx(float((2 * exact.hidden - 1).mean()), abs=1e-12)
    v, h = binary_states(4), binary_states(3)
    up = torch.where(h[None] > 0, rbm.hidden_probability(v)[:, None], 1 - rbm.hidden_probability(v)[:, None]).prod(-1)
    down = torch.where(v[None] > 0, rbm.visible_probability(h)[:, None], 1 - rbm.visible_probability(h)[:, None])
    step = (up @ down.prod(-1)).numpy()
    groups = v.sum(1).long().numpy()
    for start in range(5):
        row = step[np.flatnonzero(groups == start)[0]]
        lumped = np.bincount(groups, row, 5)
        np.testing.assert_allclose(model.kernel()[start], lumped, atol=1e-12)
    values = np.sort(np.linalg.eigvals(step).real)[::-1]
    np.testing.assert_allclose(model.eigenvalues(3)[:2], values[:2], atol=1e-10)


@pytest.mark.parametrize(("size", "crossing"), [(20, 0.929), (50, 0.972), (100, 0.986), (400, 0.997)])
def test_binder_cumulant_reaches_its_critical_value_where_the_double_sum_says(size, crossing):
    found = brentq(lambda d: CurieWeiss(size, size, d).moments()[1] - CRITICAL_BINDER, 0.5, 1.5)
    assert found == pytest.approx(crossing, abs=5e-4)


def test_second_eigenvalue_and_relaxation_time_of_a_hundred_units():
    assert CurieWeiss(100, 100, 0.5).eigenvalues()[1] == pytest.approx(0.24838, abs=1e-5)
    assert CurieWeiss(100, 100, 1.2).relaxation_time() == pytest.approx(1028, abs=1)
    assert CurieWeiss(100, 100, 0.0).relaxation_time() == pytest.approx(0.0, abs=0.03)


def test_relaxation_time_beyond_the_transition_grows_with_the_barrier():
    """ln τ per unit tends to the difference of the free energies on the top and in the well."""
    d = 1.2
    m = brentq(lambda x: math.tanh(d * x) - x, 0.1, 1.0)
    entropy = -sum((1 + sign * m) / 2 * math.log((1 + sign * m) / 2) for sign in (1, -1))
    barrier = 2 * (entropy - math.log(2)) + d * m**2  # a unit of each layer
    times = [CurieWeiss(size, size, d).relaxation_time() for size in (400, 500)]
    assert math.log(times[1] / times[0]) / 100 == pytest.approx(barrier, rel=0.01)


def test_mean_field_and_spinodal():
    m, n = CurieWeiss(300, 300, 1.5).magnetisation()
    assert m == pytest.approx(n)
    assert m == pytest.approx(math.tanh(1.5 * m), abs=1e-12)
    turned, field = spinodal(1.5)
    for h, sign in ((0.999 * field, -1), (1.001 * field, 1)):
        assert math.copysign(1, CurieWeiss(300, 300, 1.5, h).magnetisation(-1.0)[0]) == sign
    assert CurieWeiss(300, 300, 1.5, 0.9999 * field).magnetisation(-1.0)[0] == pytest.approx(-turned, abs=0.02)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="above 1"):
        spinodal(1.0)
    with pytest.raises(InputError, match="not negative"):
        CurieWeiss(10, 10, -1.0)
    with pytest.raises(InputError, match="n_visible"):
        CurieWeiss(0, 10, 1.0)
