"""Randomness: the published vectors of Philox, the layout of the counter, and the moments of the uniform numbers."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rbmscape.errors import InputError
from rbmscape.rng import Stream, philox4x32, uniform_from_bits

ONES = 0xFFFFFFFF
PI_COUNTER = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
PI_KEY = (0xA4093822, 0x299F31D0)

# kat_vectors of the Random123 distribution (Salmon et al. 2011), lines "philox4x32 7" and "philox4x32 10"
KNOWN_ANSWERS = [
    (7, (0, 0, 0, 0), (0, 0), (0x5F6FB709, 0x0D893F64, 0x4F121F81, 0x4F730A48)),
    (7, (ONES,) * 4, (ONES,) * 2, (0x5207DDC2, 0x45165E59, 0x4D8EE751, 0x8C52F662)),
    (7, PI_COUNTER, PI_KEY, (0x4DFCCABA, 0x190A87F0, 0xC47362BA, 0xB6B5242A)),
    (10, (0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (10, (ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (10, PI_COUNTER, PI_KEY, (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
]

seeds = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize(("rounds", "counter", "key", "expected"), KNOWN_ANSWERS)
def test_known_answers(rounds, counter, key, expected):
    c0, c1, c2, c3 = (torch.tensor([word]) for word in counter)
    assert tuple(int(word) for word in philox4x32((c0, c1, c2, c3), key, rounds)) == expected


def scalar_philox(counter, key, rounds=10):
    """The round function of the paper in Python's unbounded integers: an independent second implementation."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(rounds):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & ONES, (p0 >> 32) ^ c3 ^ k1, p0 & ONES
        k0, k1 = (k0 + 0x9E3779B9) & ONES, (k1 + 0xBB67AE85) & ONES
    return c0, c1, c2, c3


@given(seed=seeds, draw=st.integers(0, 2**32 - 1), chain=st.integers(0, 2**31), unit=st.integers(0, 40))
def test_layout_of_the_counter(seed, draw, chain, unit):
    stream = Stream(seed, "layout")
    counter = (unit // 4, chain, draw, zlib.crc32(b"layout"))
    expected = scalar_philox(counter, (seed & ONES, seed >> 32))[unit % 4]
    assert int(stream.bits(draw, 1, unit + 1, first_chain=chain)[0, unit]) == expected


@given(seed=seeds, first=st.integers(0, 6), count=st.integers(1, 5), units=st.integers(1, 13))
def test_part_of_the_chains_and_units_gets_the_numbers_of_the_whole(seed, first, count, units):
    stream = Stream(seed, "split")
    whole = stream.uniform(3, 11, 13)
    assert torch.equal(stream.uniform(3, count, units, first_chain=first), whole[first : first + count, :units])


def test_uniform_cells_are_symmetric_and_open():
    ends = uniform_from_bits(torch.tensor([0, ONES]))
    assert ends.tolist() == [2.0**-24, 1 - 2.0**-24]
    bits = torch.arange(0, 2**32, 7919 * 512)
    assert torch.equal(uniform_from_bits(bits), 1 - uniform_from_bits(ONES - bits))


@pytest.mark.statistical
def test_moments_and_independence():
    """2.6 million numbers: each |z| < 4.5 (21 z-scores, false alarm 1.4e-4); a lag that repeats would give z ~ 1e3."""
    stream = Stream(11, "moments")
    u = torch.stack([stream.uniform(draw, 256, 512) for draw in range(20)]).double()
    n = u.numel()
    centred = u - 0.5
    scores = [float((u**k).mean() - 1 / (k + 1)) / (k / ((k + 1) * (2 * k + 1) ** 0.5)) * n**0.5 for k in (1, 2, 3)]
    for axis in range(3):
        for lag in (1, 2, 3, 4, 8, 16):
            product = centred.narrow(axis, 0, u.shape[axis] - lag) * centred.narrow(axis, lag, u.shape[axis] - lag)
            scores.append(float(product.mean()) * 12 * product.numel() ** 0.5)
    assert len(scores) == 21
    assert max(map(abs, scores)) < 4.5


def test_streams_differ_by_seed_name_draw_and_chain():
    base = Stream(1, "a")
    rows = [
        base.bits(0, 1, 64),
        base.bits(1, 1, 64),
        base.bits(0, 1, 64, first_chain=1),
        Stream(2, "a").bits(0, 1, 64),
        Stream(1 << 32, "a").bits(0, 1, 64),
        base.child("a").bits(0, 1, 64),
    ]
    words = torch.cat(rows).flatten().tolist()
    assert len(set(words)) == len(words)
    assert base.child("b") == Stream(1, "a/b")


def test_numpy_generator_is_keyed_by_seed_stream_and_draw():
    def first(seed, name, draw):
        return Stream(seed, name).numpy(draw).random(8)

    assert np.array_equal(first(5, "x", 2), first(5, "x", 2))
    others = [first(6, "x", 2), first(5, "y", 2), first(5, "x", 3)]
    assert all(not np.intersect1d(first(5, "x", 2), other).size for other in others)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True, "7", None])
def test_impossible_seeds_are_refused(seed):
    with pytest.raises(InputError, match=r"seed must .* found"):
        Stream(seed, "x")


@pytest.mark.parametrize("draw", [-1, 2**32])
def test_impossible_draws_are_refused(draw):
    with pytest.raises(InputError, match="draw must"):
        Stream(0, "x").bits(draw, 1, 1)
    with pytest.raises(InputError, match="draw must"):
        Stream(0, "x").numpy(draw)
