"""A solid point of the likelihood's figure means a converged bracket, and nothing else."""

import numpy as np
import xarray as xr
from matplotlib.colors import to_hex

from rbmscape.figures import likelihood


def estimates(**columns):
    over = ("hidden", "replica", "update")
    arrays = {name: (over, np.atleast_2d(values)[None]) for name, values in columns.items()}
    replicas, updates = arrays["converged"][1].shape[1:]
    return xr.Dataset(arrays, {"hidden": [4], "replica": range(replicas), "update": range(1, updates + 1)})


def hollow_epochs(dataset):
    panel = likelihood.draw(likelihood.compute(dataset)).axes[0]
    lines = [line for line in panel.lines if to_hex(line.get_markerfacecolor()) == "#ffffff"]
    return [epoch for line in lines for epoch in line.get_xdata()]


def test_points_without_a_converged_bracket_are_hollow():
    dataset = estimates(
        log_likelihood=[-9.0, -8.0, -7.0, -6.0],
        stderr=[0.1, 0.1, 0.1, 0.0],  # the last one is an exact sum
        epoch=[1.0, 2.0, 3.0, 4.0],
        lower=[np.nan, -8.1, -7.1, np.nan],
        upper=[np.nan, -7.9, -6.9, np.nan],
        lower_stderr=[np.nan, 0.01, 0.01, np.nan],
        upper_stderr=[np.nan, 0.01, 0.01, np.nan],
        converged=[np.nan, 0.0, 1.0, np.nan],
    )
    assert hollow_epochs(dataset) == [1.0, 2.0]


def test_a_mean_is_hollow_where_one_replica_has_no_bracket():
    both = np.array([[-9.0, -8.0], [-9.0, -8.0]])
    bracketed = np.array([[np.nan, 0.0], [0.0, 0.0]])
    dataset = estimates(
        log_likelihood=both,
        stderr=np.full((2, 2), 0.1),
        epoch=np.array([[1.0, 2.0], [1.0, 2.0]]),
        lower=both - 0.1 + bracketed,
        upper=both + 0.1 + bracketed,
        lower_stderr=0.01 + bracketed,
        upper_stderr=0.01 + bracketed,
        converged=1.0 + bracketed,
    )
    assert hollow_epochs(dataset) == [1.0]
