"""Runs the pages of docs/tutorials from top to bottom, as a reader would, and compares or writes their outputs.

All blocks of a page share one directory, and its Python blocks one namespace.  A ``text`` block right after a block is
what that block prints.  Words must be the same; numbers may differ by a share of themselves, since sampling in
another precision ends elsewhere; three dots stand for anything.  A comment ``% not run: reason`` before a block says
that a reader's machine runs it and this script does not.

    python scripts/tutorials.py --write     # outputs of all pages, as they are now
"""

from __future__ import annotations

import argparse
import contextlib
import doctest
import io
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["Block", "agrees", "blocks", "pages", "run_page"]

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "tutorials"
RELATIVE, ABSOLUTE = 0.2, 0.3
_BLOCK = re.compile(r"(% not run: [^\n]+\n\n?)?^```(python|bash|text|toml)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


class Block(NamedTuple):
    """One block of a page.

    Attributes
    ----------
    kind : its language
    code : what it holds
    is_run : whether it is run here
    output : what the page says that it prints, or None
    span : place of that output in the page
    """

    kind: str
    code: str
    is_run: bool
    output: str | None
    span: tuple[int, int] | None


def pages() -> list[Path]:
    """All tutorials."""
    return sorted(path for path in FOLDER.glob("*.md") if path.stem != "index")


def blocks(text: str) -> Iterator[Block]:
    """Blocks of a page with their outputs, in order."""
    found = list(_BLOCK.finditer(text))
    for number, match in enumerate(found):
        if match[2] == "text":
            continue
        after = found[number + 1] if number + 1 < len(found) else None
        follows = after is not None and after[2] == "text" and not text[match.end() : after.start()].strip()
        output, span = (after[3], after.span(3)) if after is not None and follows else (None, None)
        yield Block(match[2], match[3], match[1] is None, output, span)


def agrees(expected: str, found: str) -> str:
    """What differs between a page's output and the one at hand; nothing if they agree."""
    masked = (_NUMBER.sub("#", text) for text in (expected, found))
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    if not doctest.OutputChecker().check_output(*masked, flags):
        return "other words"
    numbers = [[float(number) for number in _NUMBER.findall(text)] for text in (expected, found)]
    if "..." in expected:
        return ""
    for said, is_now in zip(*numbers, strict=True):
        if abs(said - is_now) > RELATIVE * max(abs(said), abs(is_now)) + ABSOLUTE:
            return f"{is_now} in the place of {said}"
    return ""


def run_page(path: Path) -> Iterator[tuple[Block, str]]:
    """Run a page in the present directory; gives each block that was run, and what it printed."""
    namespace: dict[str, object] = {"__name__": "page"}
    for number, block in enumerate(blocks(path.read_text(encoding="utf-8"))):
        if not block.is_run:
            continue
        if block.kind == "toml":
            Path("PLAN.toml").write_text(block.code, encoding="utf-8")
            yield block, ""
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            if block.kind == "python":
                exec(compile(block.code, f"{path.name}, block {number}", "exec"), namespace)
            else:
                _commands(block.code)
        yield block, "".join(line.rstrip() + "\n" for line in printed.getvalue().splitlines())


def _commands(code: str) -> None:
    from rbmscape.cli.main import DONE, main

    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words and (words[0] != "rbmscape" or main(words[1:]) != DONE):
            raise RuntimeError(f"{line!r} failed")


def _write(path: Path) -> None:
    """Put the outputs at hand into a page, but where it shows only a part of them."""
    text, shift = path.read_text(encoding="utf-8"), 0
    for block, found in list(run_page(path)):
        if block.span is not None and "..." not in (block.output or ""):
            start, end = (place + shift for place in block.span)
            text = text[:start] + found + text[end:]
            shift += len(found) - (end - start)
    path.write_text(text, encoding="utf-8")


def main() -> None:
    """Write the outputs of the pages that are named, or of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", required=True)
    parser.add_argument("pages", nargs="*")
    wanted = parser.parse_args().pages
    os.environ["COLUMNS"] = "110"
    home = Path.cwd()
    for path in pages():
        if not wanted or path.stem in wanted:
            with tempfile.TemporaryDirectory() as place:
                os.chdir(place)
                _write(path)
                os.chdir(home)


if __name__ == "__main__":
    main()
