"""``rbmscape bench``: how fast Gibbs sampling is here, against the machine's best matrix product."""

from __future__ import annotations

from typing import Annotated

import typer

from rbmscape.cli.options import DeviceOption, Engine, EngineOption, JsonOption, Precision, PrecisionOption
from rbmscape.cli.tables import print_table, write_json

__all__ = ["bench"]


def bench(
    hidden: Annotated[str, typer.Option(help="Hidden units, separated by commas.")] = "500,3000",
    chains: Annotated[str, typer.Option(help="Numbers of chains, separated by commas.")] = "500,4096",
    visible: Annotated[int, typer.Option(help="Visible units.", min=1)] = 784,
    rounds: Annotated[int, typer.Option(help="Timings of each; the best one counts.", min=1)] = 10,
    engine: EngineOption = Engine.AUTO,
    precision: PrecisionOption = Precision.AUTO,
    device: DeviceOption = "auto",
    json_file: JsonOption = None,
) -> None:
    """Time full Gibbs sweeps of random models; takes some seconds.

    Gconn/s: weights applied, in 10^9 a second. % of GEMM: rate of the sweep's operations (4 a weight and chain) against
    the best matrix product in the same run.
    """
    sizes = [_positive(text, "--hidden") for text in hidden.split(",")]
    widths = [_positive(text, "--chains") for text in chains.split(",")]

    from rbmscape.cli.models import resolve_device
    from rbmscape.machine import machine
    from rbmscape.speed import sweep_benchmark

    device = resolve_device(device)
    shapes = [(width, visible, size) for width in widths for size in sizes]
    timings, _ = sweep_benchmark(shapes, engine.value, precision.value, device, rounds)
    here = machine()
    rows = [
        (
            *(str(size) for size in (t.n_chains, t.n_visible, t.n_hidden)),
            f"{1e3 * t.timing.best:.2f}",
            f"{1e3 * t.timing.median:.2f}",
            f"{t.flips_per_ns:.2f}",
            f"{1e-9 * t.connections_per_second:.0f}",
            f"{100 * t.gemm_fraction:.0f}",
        )
        for t in timings
    ]
    chip = here["gpu"] if device.startswith("cuda") else f"{here['processor']}, {here['threads']} threads"
    header = ("chains", "visible", "hidden", "best ms", "median ms", "flips/ns", "Gconn/s", "% of GEMM")
    print_table(f"One Gibbs sweep, {timings[0].engine} engine in {timings[0].precision}, {chip}", rows, header)
    if json_file is not None:
        write_json(json_file, {"machine": here, "sweeps": [t.as_dict() for t in timings]})


def _positive(text: str, option: str) -> int:
    if not text.strip().isdigit() or int(text) < 1:
        raise typer.BadParameter(f"{option} has {text.strip()!r}; write positive numbers separated by commas")
    return int(text)
