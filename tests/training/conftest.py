from __future__ import annotations

import numpy as np
import pytest

import rbmscape as rs


@pytest.fixture(scope="session")
def patterns() -> rs.Dataset:
    """60 rows of 12 units in three noisy clusters: small, structured, with labels of nothing."""
    generator = np.random.default_rng(0)
    centres = generator.random((3, 12))
    rows = generator.random((60, 12)) < centres[generator.integers(0, 3, 60)]
    return rs.Dataset.from_array(rows[:50].astype(np.uint8), rows[50:].astype(np.uint8), name="patterns")
