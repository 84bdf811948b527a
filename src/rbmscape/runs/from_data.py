r"""Values of a recipe that follow from the data: what a first training takes if nothing is said.

The recommended recipe was found on tens of thousands of rows (`benchmarks/recipes.py`); from 20 000 rows on nothing
changes.  Below,

- hidden units, minibatch: a tenth of the rows, within limits: weights that few rows have to determine are few;
- epochs: at least 3000 updates, so that 200 rows get as many as a mode needs to grow;
- l2: 2.5/n.  A Gaussian prior of variance σ² on the weights is a penalty of 1/(nσ²) on the mean log-likelihood of n
  rows; σ = 0.63 was best on small data.
- rate: half the usual one, since minibatches are smaller.

Where the rows fall into two groups with a gap between them, the chains of "pcd" cannot pass from one to the other, the
weight of each drifts with the noise of the gradient, and the model can end below independent units.  There the method
is "ptt", whose chains stay in equilibrium.  The gap is looked for along the first principal component: the share of the
rows in the middle third between the means of both sides is 21 % for normal numbers, and hardly any where there is one.

`benchmarks/first_try.py` measures where this leads, docs/quality.md says where it loses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from rbmscape.errors import ConfigError
from rbmscape.rng import Stream

if TYPE_CHECKING:
    from rbmscape.data.dataset import Dataset

__all__ = ["GAP", "MANY_ROWS", "middle_share", "values_for"]

MANY_ROWS: Final = 20_000
GAP: Final = 0.06
"""Share of rows in the middle below which two groups are separate."""
FEWEST_UPDATES: Final = 3000
STRONGEST_PENALTY: Final = 0.0125
"""That of 200 rows; fewer may be all that there are."""
_FEWEST_ROWS: Final = 100
_LOOKED_AT: Final = 2000
_ROUNDS: Final = 30


def values_for(dataset: Dataset, given: Mapping[str, Any], usual_epochs: int) -> dict[str, Any]:
    """Values for a data set beside those that are given; empty where the recommended ones are right as they are.

    Parameters
    ----------
    given : values that are chosen already; what depends on them follows
    usual_epochs : at least so many

    Raises
    ------
    ConfigError : something else than a `Dataset`
    """
    from rbmscape.data.dataset import Dataset

    if not isinstance(dataset, Dataset):
        raise ConfigError(
            f"recommended takes a Dataset, found {type(dataset).__name__}; make one with rbmscape.load_dataset, and "
            "give values of the recipe by name"
        )
    if dataset.has_missing:
        return {}
    found: dict[str, Any] = {}
    rows = dataset.rows_a_pass
    if rows >= MANY_ROWS:
        return {}
    if "method" not in given and not given.get("online_likelihood") and middle_share(dataset) < GAP:
        found |= {"method": "ptt", "gibbs_steps": 2}
    method, few = found.get("method", given.get("method", "pcd")), rows // 10
    batch = given.get("batch_size", min(500, rows, max(20, few)))
    updates = max(1, rows // min(batch, rows))
    found |= {
        "n_hidden": min(500, max(20, few)),
        "batch_size": batch,
        "epochs": max(usual_epochs, -(-FEWEST_UPDATES // updates)),
        "n_chains": max(200, min(500, few)),
        "l2": min(STRONGEST_PENALTY, 2.5 / rows),
    }
    if method != "ptt" and given.get("optimizer", "sgd") == "sgd":
        found |= {"learning_rate": 0.4}
    return found


def middle_share(dataset: Dataset) -> float:
    """Share of the rows in the middle third between the means of two groups along the first principal component.

    The groups are those of two means on a line, of at most 2000 rows.  1 where there is nothing to tell apart, and of
    fewer than 100 rows, between which there are gaps by chance.
    """
    if len(dataset.train) < _FEWEST_ROWS:
        return 1.0
    rows = np.asarray(dataset.train[:: max(1, len(dataset.train) // _LOOKED_AT)][:_LOOKED_AT], dtype=np.float32)
    rows = rows - rows.mean(0)
    along = _first_component(rows)
    if not along.size or float(along.std()) < 1e-6:
        return 1.0
    low, high = float(along.min()), float(along.max())
    for _ in range(_ROUNDS):
        is_high = along > 0.5 * (low + high)
        low, high = float(along[~is_high].mean()), float(along[is_high].mean())
    third = (high - low) / 3.0
    return float(np.mean((along > low + third) & (along < high - third)))


def _first_component(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n,) projections on the first principal component, by power iteration from a fixed start."""
    start = Stream(0, "recommended").numpy().normal(size=rows.shape[1])
    direction: NDArray[np.float32] = np.asarray(start, dtype=np.float32)
    for _ in range(_ROUNDS):
        direction = rows.T @ (rows @ direction)
        norm = float(np.linalg.norm(direction))
        if norm == 0.0:
            return np.zeros(0)
        direction /= np.float32(norm)
    return np.asarray(rows @ direction, dtype=np.float64)
