"""Folding of spins, offsets and scales against energies of the foreign model, state by state."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rbmscape.errors import InputError
from rbmscape.interop.affine import Units, folded

N, M = 4, 3


def states(n):
    return np.array(list(itertools.product((0.0, 1.0), repeat=n)))


def values(bits, units):
    return 2.0 * bits - 1.0 if units.states == "spins" else bits


def foreign_energies(w, a, b, visible, hidden):
    """(2^N, 2^M) energies as the foreign model defines them."""
    x, y = values(states(N), visible), values(states(M), hidden)
    entering = ((x - visible.offset) / visible.scale) @ w @ ((y - hidden.offset) / hidden.scale).T
    return -(x @ a)[:, None] - (y @ b)[None] - entering


@pytest.mark.parametrize("kinds", list(itertools.product(("bits", "spins"), repeat=2)))
@pytest.mark.parametrize("standardised", [False, True])
def test_energies_differ_by_a_constant(kinds, standardised):
    rng = np.random.default_rng(5)
    w, a, b = rng.normal(size=(N, M)), rng.normal(size=N), rng.normal(size=M)
    parts = [{"offset": rng.normal(size=n), "scale": rng.uniform(0.3, 2.0, n)} if standardised else {} for n in (N, M)]
    visible, hidden = (Units(kind, **part) for kind, part in zip(kinds, parts, strict=True))
    rbm = folded(w, a, b, visible, hidden)
    ours = rbm.energy(states(N)[:, None], states(M)[None]).numpy()
    difference = ours - foreign_energies(w, a, b, visible, hidden)
    assert np.ptp(difference) < 1e-10
    # bits without offsets are left alone to the last digit, and everything else does change
    plain = kinds == ("bits", "bits") and not standardised
    assert np.array_equal(rbm.weights.numpy(), w) is plain


def test_a_wrong_kind_of_units_is_refused():
    with pytest.raises(InputError, match="states must be one of bits, spins, found 'potts'"):
        folded(np.ones((2, 2)), np.ones(2), np.ones(2), Units("potts"))
