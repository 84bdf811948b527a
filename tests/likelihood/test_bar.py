"""Bennett's acceptance ratio on normal log weights, whose forward and backward laws obey Crooks' relation exactly."""

from __future__ import annotations

import numpy as np
import pytest

from rbmscape.errors import InputError
from rbmscape.likelihood.bar import bennett

LOG_Z = 12.0


def normal_weights(generator, spread, n_forward, n_backward):
    """If forward log weights are N(L - s²/2, s²), backward ones are N(L + s²/2, s²)."""
    forward = generator.normal(LOG_Z - spread**2 / 2, spread, n_forward)
    return forward, generator.normal(LOG_Z + spread**2 / 2, spread, n_backward)


@pytest.mark.parametrize(("spread", "sizes"), [(0.3, (60, 60)), (1.5, (150, 50)), (2.5, (200, 200))])
def test_value_and_error_are_right(spread, sizes):
    """z-scores of 150 repetitions: mean within 4/√150 of 0 (false alarm 6e-5), spread within 25 % of 1."""
    generator = np.random.default_rng(7)
    z = []
    for _ in range(150):
        ratio = bennett(*normal_weights(generator, spread, *sizes), generator)
        z.append((ratio.value - LOG_Z) / ratio.stderr)
    assert abs(np.mean(z)) < 4 / np.sqrt(150)
    assert np.std(z) == pytest.approx(1.0, abs=0.25)


def test_is_better_than_either_direction():
    generator = np.random.default_rng(3)
    errors = {"bar": [], "forward": []}
    for _ in range(100):
        forward, backward = normal_weights(generator, 2.0, 100, 100)
        errors["bar"].append(bennett(forward, backward, generator).value - LOG_Z)
        errors["forward"].append(np.log(np.mean(np.exp(forward))) - LOG_Z)
    assert np.std(errors["bar"]) < 0.6 * np.std(errors["forward"])


def test_overlap_tells_far_directions_from_near_ones():
    generator = np.random.default_rng(5)
    near, far = (bennett(*normal_weights(generator, s, 500, 500), generator).overlap for s in (0.1, 7.0))
    assert near == pytest.approx(1.0, abs=0.01)
    assert far < 0.03


def test_equal_weights_have_no_error():
    ratio = bennett(np.full(10, 3.0), np.full(10, 3.0), np.random.default_rng(0))
    assert ratio.value == pytest.approx(3.0, abs=1e-9)
    assert ratio.stderr < 1e-9


def test_needs_both_directions():
    with pytest.raises(InputError, match="0 backward"):
        bennett([1.0], [], np.random.default_rng(0))
