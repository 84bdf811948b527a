"""Writes an archive of this release's files: ``python tests/archives/write.py FOLDER``.

An archive is written once by each release that changes a file, and never again: `test_archives.py` opens it with every
later one.  It holds a run, that run's model after more training, a small study with its report, and a file of numbers
that must be found again in them.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

import rbmscape as rs
from rbmscape.model.exact import exact_log_likelihood, exact_log_partition
from rbmscape.report.build import write_report
from rbmscape.study.config import DataPlan, LikelihoodMethod, LikelihoodPlan

RECIPE: dict[str, Any] = {
    "n_hidden": 6,
    "batch_size": 14,
    "n_chains": 20,
    "gibbs_steps": 2,
    "epochs": 300,
    "learning_rate": 0.5,
    "schedule": "constant",
    "averaging": 5,
    "weight_std": 0.1,
    "online_likelihood": True,
    "engine": "reference",
    "precision": "fp32",
    "early_checkpoints": 0,
    "checkpoint_epochs": (30, 100, 300),
}
MORE_EPOCHS = 360
SIZE = (3, 3)


def plan() -> rs.StudyConfig:
    recipe = {key: value for key, value in RECIPE.items() if key not in ("n_hidden", "online_likelihood")}
    return rs.StudyConfig(
        name="archive",
        data=DataPlan(source="bars-and-stripes", options={"image_shape": SIZE}),
        hidden=(3, 6),
        replicas=2,
        recipes={"recommended": recipe, "cd": recipe | {"method": "cd"}},
        scopes={"cd": {"hidden": (6,), "replicas": 1}},
        likelihood=LikelihoodPlan(
            n_betas=50, n_chains=20, final=LikelihoodMethod(method="bracket", n_betas=50, n_chains=20, budget=1e9)
        ),
        figures=("likelihood", "gallery", "spectral_gap"),
        slice_epochs=150,
        ledger=True,
        figure_options={"gallery": {"n_samples": 4, "sampling": {"n_chains": 20, "budget": 1e9}}},
    )


def numbers(run: rs.Run, study: Any, dataset: rs.Dataset) -> dict[str, Any]:
    def exact(rbm: rs.RBM) -> dict[str, float]:
        double = rbm.to(dtype=torch.float64)
        mean = float(exact_log_likelihood(double, dataset.test).mean())
        return {"log_likelihood": mean, "log_partition": float(exact_log_partition(double))}

    claims = json.loads((study.directory / "results" / "claims.json").read_text(encoding="utf-8"))
    table = study.table("likelihood")
    means = table[table.variable == "log_likelihood"].value
    return {
        "version": rs.__version__,
        "more_epochs": MORE_EPOCHS,
        "run_scores": {str(update): exact(run.load(update)) for update in run.updates},
        "run_chains": int(run.chains.sum()),
        "run_seconds": [row["seconds"] for row in run.rows],
        "study_scores": {str(key): exact(one.load()) for key, one in study.runs.items()},
        "study_results": list(study.result_names()),
        "study_likelihood_rows": len(table),
        "study_likelihood_sum": float(means.sum()),
        "n_claims": len(claims["claims"]),
    }


def main(target: Path) -> None:
    torch.set_num_threads(1)
    dataset = rs.load_dataset("bars-and-stripes", image_shape=SIZE)
    run = rs.train(dataset, rs.TrainingConfig(**RECIPE), target / "run", progress=False)
    with tempfile.TemporaryDirectory() as scratch:
        copy = shutil.copytree(target / "run", Path(scratch) / "run")
        longer = rs.TrainingConfig(**RECIPE | {"epochs": MORE_EPOCHS})
        rs.train(dataset, longer, copy, resume=True, progress=False).load().save(target / "resumed.safetensors")
    study = rs.run_study(plan(), target / "study", progress=False)
    outcome = study.outcome
    if outcome.failures:
        raise SystemExit(f"the study has failures: {outcome.failures}")
    write_report(study)
    (study.directory / "report.html").unlink()  # the largest file, and made again from the others
    for lock in target.rglob("lock"):
        lock.unlink()
    (target / "numbers.json").write_text(json.dumps(numbers(run, study, dataset), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
