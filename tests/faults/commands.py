"""Commands of the smallest sizes, and what each is tried with: faults at its operations, and the same command again."""

from __future__ import annotations

import collections
import os
import shlex
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from injection import ERRORS, FailingOnce, Reader, Remains, Trace, command, failing, put, stepping, tree

import rbmscape as rs
from rbmscape.errors import DamagedFileWarning, RbmscapeError

PLAN = """
name = "smallest"
hidden = [2]
replicas = 1
figures = ["likelihood", "gallery"]
figure_options.gallery = { n_samples = 2, sampling = { n_chains = 20, budget = 1e5 } }

[data]
source = "bars-and-stripes"
options = { image_shape = [2, 2] }

[recipes.recommended]
epochs = 2
checkpoint_epochs = [1, 2]
batch_size = 3
n_chains = 20
gibbs_steps = 1
engine = "reference"
early_checkpoints = 1

[likelihood]
method = "exact"
"""

TRAIN = (
    "train bars-and-stripes --image-shape 2x2 --hidden 2 --epochs 2 --batch-size 3 --chains 20 --steps 1 "
    "--engine reference --early-checkpoints 1"
)


@dataclass(frozen=True)
class Case:
    """A command in a directory that holds what the commands before it left.

    Attributes
    ----------
    words : of the command; {} is the directory
    before : commands that make what it needs
    places : below the directory, what must open and check clean afterwards
    long : whether it takes too long for one run an error
    """

    words: str
    before: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    long: bool = False


RUN = f"{TRAIN} --out {{}}/run"
STUDY = "study {}/plan.toml --out {}/study"
CASES = {
    "train": Case(f"{RUN} --resume", places=("run",)),
    "train ptt": Case(f"{RUN} --method ptt --chains 40 --steps 2 --resume", places=("run",)),
    "train again": Case(f"{RUN} --seed 1 --overwrite", (RUN,), places=("run",)),
    "evaluate": Case("evaluate {}/run --engine reference --json {}/e.json --per-row {}/e.csv", (RUN,), ("run",)),
    "sample": Case("sample {}/run -n 8 --budget 1e6 --engine reference --out {}/s.npz", (RUN,), ("run",)),
    "analyze": Case("analyze {}/run --figures spectrum --out {}/figures", (RUN,), ("run",)),
    "study": Case(STUDY, places=("study",), long=True),
    "report": Case("study {}/study", (STUDY,), places=("study",)),
}


KINDS = {"kill": "killed", "middle": "killed in the middle of an operation", "power": "power lost"}


@dataclass
class Tried:
    """What a command was tried with, and what was wrong.

    Attributes
    ----------
    counts : faults by kind and by what became of them
    wrong : in words; nothing is wanted here
    """

    counts: collections.Counter[str] = field(default_factory=collections.Counter)
    wrong: list[str] = field(default_factory=list)


class Trial:
    """One command, traced once; what it leaves undisturbed is what every repetition must come to.

    Parameters
    ----------
    case : which
    root : a directory for it alone
    """

    def __init__(self, case: Case, root: Path) -> None:
        self.case, self.root, self.read, self.tried = case, root, Reader(), Tried()
        put(root, {"plan.toml": PLAN.encode()})
        for words in case.before:
            self._must(words)
        self.base = tree(root)
        self.trace = Trace(root)
        with stepping(self.trace):
            self._must(case.words)
        self.wanted = self.read(tree(root))
        self._fine: set[str] = set()

    def words(self, line: str) -> list[str]:
        return shlex.split(line.replace("{}", str(self.root)))

    def _must(self, line: str) -> None:
        code, said = command(self.words(line))
        if code:
            raise RuntimeError(f"{line} ended with {code}: {said}")

    def after(self, what: Remains) -> None:
        """The invariant where the process was killed, or the power lost."""
        put(self.root, what.content)
        self._again(str(what), KINDS[what.kind])

    def error(self, number: int, place: int, *, middle: bool = False) -> None:
        """The same after an error of the system, of which one sentence must tell."""
        operation, name = self.trace.steps[place - 1]
        what = f"{os.strerror(number)}{' in the middle of' if middle else ''}, {operation} {name}"
        put(self.root, self.base)
        with stepping(failing(number, place, middle=middle)), warnings.catch_warnings():
            warnings.simplefilter("ignore", DamagedFileWarning)
            code, said = command(self.words(self.case.words))
        self._is_said(what, code, said)
        self._again(what, os.strerror(number))

    def chain(self, number: int) -> None:
        """The command again and again, each time refused at the first operation that it was not refused at before."""
        put(self.root, self.base)
        step, code, last = FailingOnce(number), 1, -1
        what, more = f"{os.strerror(number)} at every operation in turn", list[str]()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamagedFileWarning)
            while code == 1 and len(step.refused) > last:
                last = len(step.refused)
                with stepping(step):
                    code, said = command(self.words(self.case.words) + more)
                if code == 1 and len(step.refused) == last and "--overwrite" in said and not more:
                    more, last = ["--overwrite"], -1
                    continue
                if code == 1:
                    self._is_said(what, code, said)
        self.tried.counts[what] += len(step.refused)
        if code:
            self.tried.wrong.append(f"{what}: it ended with {code} and said {said[-300:]!r}")
        found = self.read(tree(self.root))
        other = [name for name in found.keys() | self.wanted.keys() if found.get(name) != self.wanted.get(name)]
        if other:
            self.tried.wrong.append(f"{what}: in the end, there is other content in {sorted(other)}")

    def _is_said(self, what: str, code: int, said: str) -> None:
        """One sentence names a file and the way on."""
        lines = [line for line in said.splitlines() if line.startswith("error:")]
        if code != 1 or len(lines) != 1 or str(self.root) not in lines[0] or "; " not in lines[0]:
            self.tried.wrong.append(f"{what}: it ended with {code} and said {said[-300:]!r}")

    def _again(self, what: str, kind: str) -> None:
        """Check what is there, repeat the command, and compare; remains that were seen before are counted only."""
        self.tried.counts[kind] += 1
        remains = tree(self.root)
        mark = repr(sorted(self.read(remains).items()))
        if mark in self._fine:
            return
        self.tried.counts["different remains"] += 1
        problem = self._opened() or self._repeated()
        if problem:
            self.tried.wrong.append(f"{what}: {problem}")
        else:
            self._fine.add(mark)

    def _opened(self) -> str:
        """Every run and study opens and checks clean, or says in a sentence what is to be done."""
        for place in self.case.places:
            directory = self.root / place
            if not directory.exists():
                continue
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", DamagedFileWarning)
                    findings = rs.check(directory)
            except RbmscapeError as error:
                if not is_sentence(str(error), self.root):
                    return f"check said {str(error)!r}"
                self.tried.counts["said what to do"] += 1
                continue
            for finding in findings:
                if not is_sentence(finding.words, self.root):
                    return f"check found {finding.words!r}"
            self.tried.counts["said what to do" if findings else "checked clean"] += 1
        return ""

    def _repeated(self) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamagedFileWarning)
            code, said = command(self.words(self.case.words))
            if code == 1 and "--overwrite" in said:
                self.tried.counts["repeated with --overwrite"] += 1
                code, said = command([*self.words(self.case.words), "--overwrite"])
        if code:
            return f"again, it ended with {code}: {said[-300:]}"
        found = self.read(tree(self.root))
        more, less = sorted(found.keys() - self.wanted.keys()), sorted(self.wanted.keys() - found.keys())
        if more or less:
            return f"again, it left {more} behind and lacks {less}"
        other = [name for name in found if found[name] != self.wanted[name]]
        return f"again, other content in {other}" if other else ""

    def everything(self) -> Tried:
        """Every fault at every place; a study has so many that two of the errors come in turn."""
        for one in self.trace.remains:
            self.after(one)
        for number in ERRORS[:1] if self.case.long else ERRORS:
            for place, (operation, _) in enumerate(self.trace.steps, 1):
                self.error(number, place)
                if operation in ("after flush", "after append"):
                    self.error(number, place, middle=True)
        for number in ERRORS:
            self.chain(number)
        return self.tried

    def some(self, n_remains: int, n_errors: int, seed: int) -> Tried:
        """So many of each, which a fixed seed chooses."""
        rng = np.random.default_rng(seed)
        for index in rng.choice(len(self.trace.remains), n_remains, replace=False):
            self.after(self.trace.remains[index])
        for index in rng.choice(len(self.trace.steps), n_errors, replace=False):
            self.error(int(rng.choice(ERRORS)), 1 + int(index), middle=bool(rng.random() < 0.3))
        return self.tried


def is_sentence(words: str, root: Path) -> bool:
    """One line that names a file and says more than what is wrong."""
    return len(words.splitlines()) == 1 and str(root) in words and any(mark in words for mark in (";", " and ", ", "))
