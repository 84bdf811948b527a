"""How well a model of data and labels tells classes apart, beside methods that are trained for the labels alone.

scikit-learn's 8 x 8 digits, five folds twice, everything called as a user calls it, nothing tuned on the rows that are
scored: sizes and epochs are the first that were written down.  Pixels are divided by 16; "bits" are pixels of at least
8.  Results: ``benchmarks/results/sklearn_classifier.json``.

    python -m benchmarks.sklearn_classifier
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold, cross_validate
from sklearn.naive_bayes import BernoulliNB
from sklearn.pipeline import make_pipeline

from rbmscape.machine import machine
from rbmscape.sklearn import BernoulliRBM, RBMClassifier

RESULTS = Path(__file__).parent / "results" / "sklearn_classifier.json"
FOLDS = RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0)


def main() -> None:
    pixels, labels = load_digits(return_X_y=True)
    grey, bits = pixels / 16, (pixels >= 8).astype(float)
    regression = LogisticRegression(max_iter=2000)
    two_steps = make_pipeline(BernoulliRBM(200, n_iter=60, random_state=0), regression)
    methods = {
        "logistic regression": regression,
        "BernoulliRBM(200, n_iter=60), then logistic regression": two_steps,
        "naive Bayes (BernoulliNB)": BernoulliNB(binarize=0.5),
        "RBMClassifier(50, n_iter=60)": RBMClassifier(50, n_iter=60, random_state=0),
        "RBMClassifier(200, n_iter=60)": RBMClassifier(200, n_iter=60, random_state=0),
    }
    rows = []
    for name, method in methods.items():
        for kind, data in (("grey", grey), ("bits", bits)):
            began = time.perf_counter()
            scores = cross_validate(method, data, labels, cv=FOLDS, scoring=("accuracy", "neg_log_loss"))
            row = {"method": name, "data": kind, "seconds_a_fold": round((time.perf_counter() - began) / 10, 2)}
            for measure in ("accuracy", "neg_log_loss"):
                values = scores[f"test_{measure}"]
                row |= {measure: float(values.mean()), f"{measure}_sd": float(np.std(values, ddof=1))}
            rows.append(row)
            print(row, flush=True)
    RESULTS.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
