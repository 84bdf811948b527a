"""One full Gibbs sweep against other packages and against the machine's best matrix product.

``python -m benchmarks.sweep``

Expected before measuring: the two bf16 matrix products take 4 N M n_chains operations, the fused pass about half a
nanosecond a unit on two cores, so that a sweep of 500 chains at M = 500 should reach 80 % of the rate of the bare
products, and more at M = 3000; rbms and scikit-learn multiply in float32 and pass several times over the
probabilities, drawing from a serial generator, which should cost them most of their time.

Seen on two hardware threads of one Zen 4 core (AVX512-BF16, no matrix unit), M = 500, 500 chains, undisturbed: the two
products 1.0 ms each, the fused pass 0.14 + 0.25 ms or 0.6 ns a unit with ten Philox rounds, a sweep 2.2 ms, 90 % of the
best product's rate.  Tiling 4096 chains into blocks of 128 to 1024 rows, so that pre-activations stay in the cache,
gained nothing: the larger product makes up for it.

Expected of the matrix unit before measuring: bytes at its full rate take 64 cycles for 16 units, 32 chains and 64 units
of the other layer, a sixth of a millisecond for both products on two cores.  Seen on two cores of Emerald Rapids, one
thread, M = 500, 500 chains: 67 cycles with states and weights all zero, 100 with those of a model, since the unit slows
down with the power it draws; products 0.28 + 0.25 ms, drawing 0.18 + 0.27 ms, a sweep 1.2 ms, where changes between
unit and vector code are what is left.  Arrays that did not begin with a cache line took 220 cycles.
"""

from __future__ import annotations

from benchmarks.harness import parser, save, show, start
from benchmarks.peers import available
from rbmscape.speed import SHAPES, sweep_benchmark


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--engine", default="auto")
    options.add_argument("--precision", default="auto")
    options.add_argument("--chains", type=int, nargs="*", help="only experiments with these numbers of chains")
    chosen = options.parse_args()
    where = start(chosen.threads)
    shapes = [shape for shape in SHAPES if not chosen.chains or shape[0] in chosen.chains]
    timings, peers = sweep_benchmark(shapes, chosen.engine, chosen.precision, rounds=chosen.rounds, peers=available())
    rows, records = [], []
    for shape, result in zip(shapes, timings, strict=True):
        speedups = {name: times[shape].best / result.timing.best for name, times in peers.items()}
        medians = {name: times[shape].median / result.timing.median for name, times in peers.items()}
        records.append(
            result.as_dict()
            | {
                "peers_best_seconds": {name: times[shape].best for name, times in peers.items()},
                "speedup": speedups,
                "speedup_of_medians": medians,
            }
        )
        rows.append(
            [
                *shape,
                result.timing.best * 1e3,
                result.timing.median * 1e3,
                f"{result.gemm_fraction:.0%}",
                result.flips_per_ns,
                result.connections_per_second,
                *(f"{times[shape].best * 1e3:.3g} ({speedups[name]:.1f}x)" for name, times in peers.items()),
            ]
        )
    first = timings[0]
    show(
        f"Gibbs sweep, engine {first.engine}, {first.precision}, {where['threads']} threads; "
        f"best GEMM {first.gemm_rate * 1e-9:.0f} GFLOP/s",
        [
            "chains",
            "N",
            "M",
            "best ms",
            "median ms",
            "of GEMM",
            "flips/ns",
            "connections/s",
            *(f"{n} ms" for n in peers),
        ],
        rows,
    )
    path = save("sweep", chosen.out, where, {"sweeps": records})
    print(f"saved {path}")


if __name__ == "__main__":
    main()
