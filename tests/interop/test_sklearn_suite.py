"""scikit-learn's own tests of BernoulliRBM, read from the installed package, with the import changed to ours."""

from __future__ import annotations

from pathlib import Path

import pytest

sklearn = pytest.importorskip("sklearn", reason="needs scikit-learn")

IMPORT = "from sklearn.neural_network import BernoulliRBM"
NOT_OURS = {
    "test_fit_gibbs": "asserts weights to four digits that follow from scikit-learn's stream of random numbers",
}
"""Tests that are left out, each with its reason."""

SOURCE = (Path(sklearn.__file__).parent / "neural_network" / "tests" / "test_rbm.py").read_text(encoding="utf-8")
assert IMPORT in SOURCE
exec(compile(SOURCE.replace(IMPORT, "from rbmscape.sklearn import BernoulliRBM"), "test_rbm.py", "exec"), globals())
for name in NOT_OURS:
    del globals()[name]


def test_it_is_ours_that_is_tested():
    from rbmscape.sklearn import BernoulliRBM as ours

    assert globals()["BernoulliRBM"] is ours
    assert sum(name.startswith("test_") for name in globals()) > 10


@pytest.fixture(autouse=True)
def _global_generators_are_left_alone():
    """With ``random_state=None`` scikit-learn's estimators draw from NumPy's global generator, and so does ours."""
