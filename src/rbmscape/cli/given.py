"""``sample --given FILE``: the missing entries of a file's rows, drawn from the model."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rbmscape.cli.models import OpenModel
    from rbmscape.sampling.conditional import ConditionalSamples

__all__ = ["complete_rows", "write_png"]

MOST_SHOWN = 16


def complete_rows(
    opened: OpenModel,
    given: str,
    files: tuple[Path, Path],
    shape: tuple[int, int] | None,
    n: int,
    labels: str | None = None,
    **options: Any,
) -> ConditionalSamples:
    """Draw what is missing, and write states with probabilities as .npz and a picture of the first rows.

    Parameters
    ----------
    given : a data file whose missing entries (NaN, or empty fields of a table) are to be drawn
    files : of the states and of the picture
    n : completions of each row
    labels : column of the file, or key, that holds labels and is no unit
    **options : of `rbmscape.conditional_samples`
    """
    from rbmscape.arrays import column_order
    from rbmscape.cli.costs import announce_tempering
    from rbmscape.data.readers import read_file
    from rbmscape.errors import InputError
    from rbmscape.figures.inpainting import draw, pictures
    from rbmscape.sampling.conditional import FEWEST_CHAINS, conditional_samples

    found_rows = read_file(Path(given), labels=labels)
    rows = opened.as_bits(found_rows.train.reshape(len(found_rows.train), -1))
    rows = rows[:, column_order(opened.columns, found_rows.columns, given)]
    source = opened.run if opened.run is not None and opened.update == opened.run.updates[-1] else opened.rbm
    how = {name: options[name] for name in ("engine", "precision")}
    announce_tempering(opened.rbm, len(rows) * max(n, FEWEST_CHAINS), budget=options["budget"], **how)
    found = conditional_samples(source, rows, n, **options)
    if not bool(found.known.missing.any()):
        raise InputError(f"{given} has no missing entries, so there is nothing to draw; leave fields empty or set NaN")
    facts = {"model": opened.name, "given": given, "verdict": str(found.verdict), **found.facts}
    _write_npz(files[0], found, facts, opened)
    write_png(files[1], draw(pictures(found, shape or opened.image_shape).isel(sample=slice(MOST_SHOWN))), facts)
    return found


def _write_npz(path: Path, found: ConditionalSamples, facts: dict[str, Any], opened: OpenModel) -> None:
    import numpy as np

    from rbmscape.files import write_bytes

    content = io.BytesIO()
    np.savez_compressed(
        content, samples=opened.shown(found.v.cpu().numpy()), hidden=found.h.cpu().numpy(),
        probability=found.probability.cpu().numpy(), stderr=found.stderr.cpu().numpy(),
        missing=found.known.missing.cpu().numpy(), seed=np.uint64(found.how["samples_seed"]),
        converged=np.array([verdict.converged for verdict in found.verdicts]),
        verdict=np.array([str(verdict) for verdict in found.verdicts]), facts=np.array(json.dumps(facts)),
    )  # fmt: skip
    write_bytes(path, content.getvalue())


def write_png(path: Path, figure: Any, facts: dict[str, Any]) -> None:
    """The picture, with the facts as text chunks of the file."""
    from rbmscape.files import write_bytes

    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=200, metadata={name: str(value) for name, value in facts.items()})
    write_bytes(path, content.getvalue())
