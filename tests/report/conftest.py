"""Evidence made of synthetic Datasets, and what the tests of all claims share."""

from __future__ import annotations

import pytest
import xarray as xr

from rbmscape.report.claims import CLAIMS
from rbmscape.report.evidence import Evidence
from rbmscape.report.findings import Check, MissingEvidenceError
from rbmscape.report.verdicts import judge
from rbmscape.runs.config import TrainingConfig

PAPER = TrainingConfig.paper(epochs=40, gibbs_steps=10)
RECIPES = {
    "paper": PAPER,
    "recommended": TrainingConfig(epochs=40),
    "cd": TrainingConfig(epochs=40, method="cd"),
    "rdm": TrainingConfig(epochs=40, method="rdm"),
    **{
        f"{method}-{steps}": TrainingConfig(epochs=40, method=method, gibbs_steps=steps)
        for method in ("pcd", "cd")
        for steps in (1, 100)
    },
    "rdm-100": TrainingConfig(epochs=40, method="rdm", gibbs_steps=100),
    "sgd": PAPER.replace(optimizer="sgd", learning_rate=0.05),
    "centred": PAPER.replace(gradient="centered"),
    "wide": PAPER.replace(weight_std=0.1),
}


@pytest.fixture(scope="session")
def make_evidence():
    """Makes `Evidence` from Datasets by name."""

    def make(datasets=None, recipes=RECIPES, n_visible=784, checks=None):
        known = datasets or {}

        def load(name) -> xr.Dataset:
            if name not in known:
                raise MissingEvidenceError(f"the study has no data of the figure {name!r}")
            return known[name]

        return Evidence(load, recipes, n_visible, n_train=50_000, checks=checks)

    return make


@pytest.fixture(scope="session")
def find(make_evidence):
    """Judges one claim by its key."""
    claims = {claim.key: claim for claim in CLAIMS}

    def judged(key, datasets=None, **options):
        """Checks may stand among the Datasets."""
        checks = {name: one for name, one in (datasets or {}).items() if isinstance(one, Check)}
        if checks:
            datasets, options["checks"] = {}, checks
        finding = judge(claims[key], make_evidence(datasets, **options)).finding
        assert finding.measured
        assert finding.measured.count("nan") == 0
        return finding

    return judged
