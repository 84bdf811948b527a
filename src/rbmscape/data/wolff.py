"""Wolff's cluster flips (Phys. Rev. Lett. 62, 361 (1989)), compiled; see `rbmscape.data.ising`."""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["fill"]


@numba.njit(cache=True)
def fill(states, height, width, bond, random):  # type: ignore[no-untyped-def]
    """Write a state after every so many clusters as flip all spins five times on average.

    The number of clusters between states must not depend on their sizes: states just after large clusters are not in
    equilibrium.  So it is fixed before, from the mean size of clusters after fifty flips of all spins.
    """
    size = height * width
    spins = np.empty(size, np.uint8)
    for k in range(size):
        spins[k] = 1 if random.random() < 0.5 else 0
    stack = np.empty(size, np.int64)
    flipped = 0
    while flipped < 50 * size:
        flipped += _flip_cluster(spins, stack, height, width, bond, random)
    flipped = 0
    for _ in range(200):
        flipped += _flip_cluster(spins, stack, height, width, bond, random)
    clusters = max(1, int(np.ceil(5 * size * 200 / flipped)))
    for row in range(states.shape[0]):
        for _ in range(clusters):
            _flip_cluster(spins, stack, height, width, bond, random)
        states[row] = spins
        if random.random() < 0.5:  # both signs are as likely: this makes them so also at low temperatures
            for k in range(size):
                states[row, k] = 1 - states[row, k]


@numba.njit(cache=True)
def _flip_cluster(spins, stack, height, width, bond, random):  # type: ignore[no-untyped-def]
    """Grow a cluster from a random spin, flip it, return its size."""
    seed = int(random.random() * spins.size)
    old = spins[seed]
    spins[seed] = 1 - old
    stack[0] = seed
    waiting, flipped = 1, 1
    while waiting:
        waiting -= 1
        y, x = divmod(stack[waiting], width)
        for side in range(4):
            if side == 0:
                near = y * width + (x + 1) % width
            elif side == 1:
                near = y * width + (x - 1) % width
            elif side == 2:
                near = (y + 1) % height * width + x
            else:
                near = (y - 1) % height * width + x
            if spins[near] == old and random.random() < bond:
                spins[near] = 1 - old
                stack[waiting] = near
                waiting += 1
                flipped += 1
    return flipped
