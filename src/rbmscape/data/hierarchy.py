"""Data with a known tree: prototypes that descend from each other by flipped bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rbmscape.data.dataset import Binary, Dataset
from rbmscape.errors import DataError
from rbmscape.rng import Stream

__all__ = ["planted_tree"]


def planted_tree(
    n_visible: int = 64,
    branching: tuple[int, ...] = (2, 2),
    flipped: tuple[float, ...] = (0.5, 0.2),
    noise: float = 0.05,
    n_train: int = 4000,
    n_test: int = 1000,
    seed: int = 0,
) -> Dataset:
    """Samples around prototypes at the leaves of a tree.

    The root is a state of fair bits.  At level k each node has ``branching[k]`` children, and each child differs from
    its siblings in its own set of ``flipped[k]/branching[k]`` of the units, which are flipped.  Samples are prototypes
    of leaves, drawn evenly, with independent flips of probability ``noise``.

    Parameters
    ----------
    n_visible : N
    branching : children a node at each level
    flipped : share of the units that tell the children of one node apart, at each level
    noise : in [0, ½)
    n_train, n_test, seed : independent samples

    Returns
    -------
    Data set with the number of the leaf as label; leaf l belongs to node ``l // (leaves below one node)`` of each
    level.  ``attributes``: ``prototypes`` (leaves, N) and ``branching``

    Raises
    ------
    DataError : a plan that cannot be carried out
    """
    if len(branching) != len(flipped) or not branching or min(branching) < 2 or not 0 <= noise < 0.5 or n_train < 1:
        raise DataError(
            f"a planted tree needs one share of flipped units a level, two or more children a node and noise below a "
            f"half, found branching={branching}, flipped={flipped}, noise={noise}"
        )
    stream = Stream(seed, "data/planted-tree")
    generator = stream.numpy(0)
    prototypes = generator.integers(0, 2, (1, n_visible))
    for children, share in zip(branching, flipped, strict=True):
        own = round(share * n_visible / children)
        if own < 1 or own * children > n_visible:
            raise DataError(
                f"{share:g} of {n_visible} units cannot tell {children} children apart; flip more units, or take more"
            )
        rows = []
        for parent in prototypes:
            order = generator.permutation(n_visible)
            for child in range(children):
                state = parent.copy()
                state[order[child * own : (child + 1) * own]] ^= 1
                rows.append(state)
        prototypes = np.stack(rows)

    def draw(count: int, number: int) -> tuple[Binary, NDArray[np.int64]]:
        random = stream.numpy(number)
        labels = random.integers(0, len(prototypes), count)
        flips = random.random((count, n_visible)) < noise
        return (prototypes[labels] ^ flips).astype(np.uint8), labels

    train, train_labels = draw(n_train, 1)
    test, test_labels = draw(n_test, 2)
    return Dataset(
        name="planted-tree-" + "x".join(map(str, branching)),
        train=train,
        test=test,
        train_labels=train_labels,
        test_labels=test_labels,
        attributes={"prototypes": prototypes.astype(np.uint8), "branching": branching},
    )
