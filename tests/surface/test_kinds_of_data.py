"""What a user has as data is taken wherever data are: a Dataset, tables and sparse rows give what an array does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch

import rbmscape as rs
from rbmscape.errors import DataError
from rbmscape.sampling.origins import binary_rows
from rbmscape.symmetry.principal import principal_components

ROWS = (np.random.default_rng(0).random((60, 16)) < 0.3).astype(np.uint8)
TABLE = pd.DataFrame(ROWS, columns=[f"unit {k}" for k in range(16)])
RBM = rs.RBM.random(16, 3, 0.5, seed=1)

KINDS = {
    "a Dataset": rs.Dataset.from_array(ROWS, ROWS[:7]),
    "a Dataset with weights": rs.Dataset.from_array(ROWS[:30], train_weights=[2] * 30),
    "a table": TABLE,
    "nullable": TABLE.astype("Int64"),
    "sparse columns": TABLE.astype(pd.SparseDtype("int8", 0)),
    "CSR": sp.csr_array(ROWS),
    "sparse of torch": torch.from_numpy(ROWS).float().to_sparse(),
    "read-only": np.broadcast_to(ROWS, ROWS.shape),
}
CALLS = {
    "linear_growth": lambda data: rs.linear_growth(data).eigenvalues,
    "principal_components": lambda data: principal_components(data, 3).variances,
    "layer_overlaps": lambda data: rs.layer_overlaps(data).mean.value,
    "spin_observables": lambda data: rs.spin_observables(data, (4, 4), 2.0, 10).energy.value,
    "mean_field": lambda data: rs.mean_field(RBM, data=data, n_starts=3).best.free_energy,
    "landau": lambda data: rs.landau(RBM, 0, reference="data", data=data).gamma,
    "fixed_point_tree": lambda data: rs.fixed_point_tree([RBM, RBM], [0, 1], data, max_iterations=5).sizes,
    "states of chains": lambda data: binary_rows(RBM, data, "starts"),
}


@pytest.mark.parametrize("name", CALLS)
def test_all_kinds_give_the_same(name):
    call = CALLS[name]
    rows = {"a Dataset with weights": np.repeat(ROWS[:30], 2, axis=0)}
    for kind, data in KINDS.items():
        wanted = np.asarray(call(rows.get(kind, ROWS)))
        np.testing.assert_array_equal(np.asarray(call(data)), wanted, err_msg=kind)


def test_gaps_are_refused_with_their_place():
    gaps = ROWS.astype(float)
    gaps[5, 2] = np.nan
    data = rs.Dataset.from_array(gaps, missing="marginalize")
    for call in CALLS.values():
        with pytest.raises(DataError, match="row 5, column 2"):
            call(data)
