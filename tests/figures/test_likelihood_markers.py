"""A solid point of the likelihood's figure means a converged bracket, and nothing else."""

import numpy as np
import xarray as xr
from matplotlib.colors import to_hex

from rbmscape.figures import likelihood


def test_points_without_a_converged_bracket_are_hollow():
    over = ("hidden", "replica", "update")
    columns = {
        "log_likelihood": [-9.0, -8.0, -7.0],
        "stderr": [0.1, 0.1, 0.1],
        "epoch": [1.0, 2.0, 3.0],
        "lower": [np.nan, -8.1, -7.1],
        "upper": [np.nan, -7.9, -6.9],
        "lower_stderr": [np.nan, 0.01, 0.01],
        "upper_stderr": [np.nan, 0.01, 0.01],
        "converged": [np.nan, 0.0, 1.0],
    }
    estimates = xr.Dataset(
        {name: (over, np.array(values)[None, None]) for name, values in columns.items()},
        {"hidden": [4], "replica": [0], "update": [1, 2, 3]},
    )
    panel = likelihood.draw(likelihood.compute(estimates)).axes[0]
    hollow = [line for line in panel.lines if to_hex(line.get_markerfacecolor()) == "#ffffff"]
    assert [line.get_xdata().tolist() for line in hollow] == [[1.0, 2.0]]
