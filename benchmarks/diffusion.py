"""U_eff with its gradient, and a step of confined Langevin dynamics, against the matrix products that they need.

``python -m benchmarks.diffusion``

N = 784, M = 500, 1000 states, a random model of trained size (λ_1 about 10), tasks in turn.  The potential needs four
products (z to bits and back, both layers), a step two (Wn and Wᵀm).  Expected before measuring: the elementwise work is
1.3 million entries.  The potential takes two logarithms each in torch and moves some 60 MB in float64, as long as a
tenth of the products' 3.5·10^9 operations to half of them; a step needs two Philox words, four logarithms and two
roots each in one pass, about as long as the products' 1.6·10^9 operations in float32.  Bounds: 2.5 and 3.5 times the
products.
"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.harness import parser, save, show, start
from rbmscape import RBM
from rbmscape.diffusion.effective_potential import EffectivePotential
from rbmscape.diffusion.langevin import largest_stable_step
from rbmscape.diffusion.reflected_step import ReflectedIntegrator
from rbmscape.rng import Stream
from rbmscape.speed import interleaved

N_VISIBLE, N_HIDDEN, N_STATES = 784, 500, 1000
BOUNDS = {"potential float64": 2.5, "potential float32": 2.5, "Langevin step float32": 3.5}


def main() -> None:
    chosen = parser(__doc__).parse_args()
    where = start(chosen.threads)
    rbm = RBM.random(N_VISIBLE, N_HIDDEN, std=0.2)
    generator = Stream(0, "benchmark").numpy()
    m, n = (torch.from_numpy(generator.uniform(0.05, 0.95, (N_STATES, width))) for width in (N_VISIBLE, N_HIDDEN))
    tasks, products = {}, {}
    for dtype, name in ((torch.float64, "potential float64"), (torch.float32, "potential float32")):
        potential = EffectivePotential(rbm, dtype=dtype)
        left, right = (rotation.to(dtype).contiguous() for rotation in (potential.modes.left, potential.modes.right))
        z, x, y = potential.z(m, n), m.to(dtype), n.to(dtype)
        tasks[name] = lambda potential=potential, z=z: potential.value_and_gradient(z)
        products[name] = lambda x=x, y=y, left=left, right=right: ((x @ left.mT) @ left, (y @ right.mT) @ right)
    visible, hidden = m.float().contiguous(), n.float().contiguous()
    integrator = ReflectedIntegrator(
        rbm, visible, hidden, 1.0, 1.0, 0.1 * largest_stable_step(rbm), Stream(1, "benchmark")
    )
    weights, transposed = rbm.weights.contiguous(), rbm.weights.T.contiguous()
    fields = torch.empty_like(visible), torch.empty_like(hidden)
    steps = iter(range(1 << 30))
    tasks["Langevin step float32"] = lambda: integrator.advance(next(steps))
    products["Langevin step float32"] = lambda: (
        torch.mm(hidden, transposed, out=fields[0]),
        torch.mm(visible, weights, out=fields[1]),
    )
    together = {f"{name}{kind}": task[name] for name in tasks for kind, task in (("", tasks), (" products", products))}
    times = interleaved(together, rounds=chosen.rounds)
    rows = []
    for name, bound in BOUNDS.items():
        whole, part = (np.array(times[key].seconds) for key in (name, f"{name} products"))
        rows.append(
            [name, 1e3 * float(np.median(whole)), 1e3 * float(np.median(part)), float(np.median(whole / part)), bound]
        )
    columns = ["task", "whole (ms)", "products (ms)", "ratio", "bound"]
    show(f"{N_STATES} states, N = {N_VISIBLE}, M = {N_HIDDEN}, medians", columns, rows)
    content = {"rows": [dict(zip(columns, row, strict=True)) for row in rows], "rounds": chosen.rounds}
    save("diffusion", chosen.out, where, content)


if __name__ == "__main__":
    main()
