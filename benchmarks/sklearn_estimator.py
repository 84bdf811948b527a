"""What changing the import buys a user of scikit-learn: log-likelihood at equal time, time to equal pseudo-likelihood.

Both estimators are called as a user calls them, ``BernoulliRBM(n_components, random_state=0).fit(X)``; theirs at its
default step and at the best of a few.  Data: MNIST (n_components 500) and scikit-learn's 8 x 8 digits (64), as bits.
Log-likelihoods of test rows by annealed importance sampling from here, 1000 chains; pseudo-likelihoods by their own
`score_samples`, on the same flips.  Results: ``benchmarks/results/sklearn_estimator.json``.

    python -m benchmarks.sklearn_estimator [--quick]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.neural_network import BernoulliRBM as Theirs

import rbmscape as rs
from rbmscape.machine import machine
from rbmscape.sklearn import BernoulliRBM as Ours

RESULTS = Path(__file__).parent / "results" / "sklearn_estimator.json"
RATES = (0.1, 0.03, 0.01)


def digits() -> tuple[np.ndarray, np.ndarray]:
    bits = (load_digits().data >= 8).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(bits))
    return bits[order[:1500]], bits[order[1500:]]


def mnist() -> tuple[np.ndarray, np.ndarray]:
    data = rs.load_dataset("mnist")
    return data.train.astype(np.float32), data.test.astype(np.float32)


def judged(estimator: Any, test: np.ndarray, seconds: float, **more: Any) -> dict[str, Any]:
    rbm = rs.read_model(estimator)
    likelihood = rs.log_likelihood(rbm, test, n_chains=1000)
    estimator.random_state = 0
    row = {
        "seconds": round(seconds, 2),
        "log_likelihood": likelihood.value,
        "stderr": likelihood.stderr,
        "pseudo_likelihood": float(estimator.score_samples(test).mean()),
        **more,
    }
    print(row, flush=True)
    return row


def timed(estimator: Any, train: np.ndarray) -> float:
    began = time.perf_counter()
    estimator.fit(train)
    return time.perf_counter() - began


def passes_within(seconds: float, make: Any, train: np.ndarray) -> int:
    """Passes over the data that fit into a time, from two short fits after one that compiles."""
    timed(make(1), train)
    few, more = (timed(make(n), train) for n in (2, 6))
    return max(1, 2 + int((seconds - few) / ((more - few) / 4.0)))


def compare(name: str, data: tuple[np.ndarray, np.ndarray], size: int, n_iter: int) -> dict[str, Any]:
    train, test = data
    print(name, flush=True)
    theirs = [
        judged(model, test, timed(model, train), learning_rate=rate)
        for rate in RATES
        for model in [Theirs(size, learning_rate=rate, n_iter=n_iter, random_state=0)]
    ]
    default, best = theirs[0], max(theirs, key=lambda row: row["log_likelihood"])
    n_passes = passes_within(default["seconds"], lambda n: Ours(size, n_iter=n, random_state=0), train)
    equal = Ours(size, n_iter=n_passes, random_state=0)
    at_equal_time = judged(equal, test, timed(equal, train), n_iter=n_passes)
    quick = []
    for passes in (1, 2, 4, 8, 16, 32):
        model = Ours(size, n_iter=passes, random_state=0)
        quick.append(judged(model, test, timed(model, train), n_iter=passes))
        if quick[-1]["pseudo_likelihood"] >= best["pseudo_likelihood"]:
            break
    return {"theirs": theirs, "ours_at_equal_time": at_equal_time, "ours_until_their_pseudo_likelihood": quick}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="digits alone, without writing results")
    quick = parser.parse_args().quick
    found = {"machine": machine(), "digits": compare("digits", digits(), 64, 10)}
    if not quick:
        found["mnist"] = compare("mnist", mnist(), 500, 10)
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
