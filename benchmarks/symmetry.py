"""Random rotations of the singular vectors with the divergence, against the decomposition that they need.

``python -m benchmarks.symmetry``

Expected before measuring: the full decomposition of 784 x 3000 finds 3000 right vectors in some 10^11 operations.  The
78 and 300 plane rotations are low-rank changes of W, 4·10^9 operations for planes of axes and 2·10^10 for Haar planes,
and the two histograms of 2.4 million entries and their bootstrap pass a few times over 20 MB: a tenth of the
decomposition for axes, and less than it for Haar planes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

from benchmarks.harness import parser, save, show, start
from rbmscape import RBM, Modes
from rbmscape.symmetry.divergence import rotation_divergence
from rbmscape.symmetry.rotations import rotated_weights

N_VISIBLE = 784
SIZES = (500, 784, 1200, 3000)


def seconds(task: Callable[[], object], rounds: int) -> float:
    task()
    timings = []
    for _ in range(rounds):
        begin = time.perf_counter()
        task()
        timings.append(time.perf_counter() - begin)
    return median(timings)


def main() -> None:
    options = parser(__doc__)
    options.set_defaults(rounds=5)
    options.add_argument("--hidden", type=int, nargs="*", default=list(SIZES))
    chosen = options.parse_args()
    where = start(chosen.threads)
    rows = []
    for hidden in chosen.hidden:
        rbm = RBM.random(N_VISIBLE, hidden)
        modes = Modes.of(rbm)
        decomposition = seconds(lambda rbm=rbm: Modes.of(rbm), chosen.rounds)
        for planes in ("axes", "haar"):
            turned = seconds(
                lambda rbm=rbm, modes=modes, planes=planes: rotated_weights(rbm, planes=planes, modes=modes),
                chosen.rounds,
            )
            whole = seconds(
                lambda rbm=rbm, modes=modes, planes=planes: rotation_divergence(
                    rbm, planes=planes, modes=modes, n_rotations=1
                ),
                chosen.rounds,
            )
            rows.append([hidden, planes, decomposition, turned, whole, whole / decomposition])
    columns = ["hidden units", "planes", "SVD (s)", "rotations (s)", "with divergence (s)", "part of the SVD"]
    show("Rotations of all singular vectors and their divergence, medians", columns, rows)
    content = {"rows": [dict(zip(columns, row, strict=True)) for row in rows], "rounds": chosen.rounds}
    save("symmetry", chosen.out, where, content)


if __name__ == "__main__":
    main()
