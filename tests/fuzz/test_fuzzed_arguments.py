"""Arguments of all public functions get values of every kind, and the functions answer with a result or one sentence.

All of them are more than thirty thousand: ``RBMSCAPE_FUZZ=300 pytest -m slow tests/fuzz`` tries each,
``RBMSCAPE_FUZZ=5000 pytest tests/fuzz`` so many.  Everything happens in the process of the trials, which alone loads
what is called.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from trial import faults

COUNT = int(os.environ.get("RBMSCAPE_FUZZ", "300"))
ALL = 60_000
"""More than there are; what is beyond the last is none."""
NAMES, RIGHT = -2, -1


def try_number(number: int, place: Path) -> None:
    """One call of the shuffled list, or one of the two looks at the calls themselves."""
    os.chdir(place)
    Path("d.csv").write_text("0,1\n1,0\n1,1\n0,1\n")
    if number == NAMES:
        every_argument_is_tried()
    elif number == RIGHT:
        the_calls_themselves_are_right()
    elif (key := wrong(number)) is not None:
        from calls import make

        make(*key)


def every_argument_is_tried() -> None:
    from calls import ELSEWHERE, calls

    sys.path.insert(0, str(Path(__file__).parents[1] / "surface"))
    from test_argument_names import arguments, public

    wanted = {
        (name, one.name)
        for name, function in public()
        for one in arguments(function)
        if one.kind is not one.VAR_KEYWORD
    }
    tried = {(name.partition(" of ")[0], argument) for name, (_, given) in calls().items() for argument in given}
    assert not (left := {key for key in wanted - tried if key[0] not in ELSEWHERE}), left


def the_calls_themselves_are_right() -> None:
    """All but those that ask for files and studies that are not there."""
    from calls import calls

    for name, (function, given) in calls().items():
        if name not in ("RBM.load", "open_search", "open_study", "run_study", "search"):
            try:
                function(**given)
            except Exception as error:
                raise AssertionError(f"{name}: {error}") from error


@cache
def shuffled() -> list[tuple[str, str, str]]:
    from calls import keys

    every = list(keys())
    assert len(every) < ALL
    return [every[index] for index in np.random.default_rng(21).permutation(len(every))]


def wrong(number: int) -> tuple[str, str, str] | None:
    """Function, argument and value."""
    return shuffled()[number] if number < len(shuffled()) else None


@pytest.fixture(scope="module")
def found() -> dict[int, str]:
    """What happened in the trials, by number, where it was a fault."""
    return faults(try_number, [NAMES, RIGHT, *range(COUNT)])


def test_every_argument_of_every_public_function_is_tried(found):
    assert found.get(NAMES) is None


def test_the_calls_themselves_are_right(found):
    assert found.get(RIGHT) is None


@pytest.mark.timeout(3000)
def test_arguments_of_all_kinds_are_answered(found):
    assert {wrong(number): words for number, words in found.items() if number >= 0} == {}


@pytest.mark.slow
@pytest.mark.skipif(
    "RBMSCAPE_FUZZ" not in os.environ, reason="the long version: RBMSCAPE_FUZZ=300 asks for all the rest"
)
@pytest.mark.timeout(3000)
def test_every_value_of_every_argument_is_answered():
    assert {wrong(number): words for number, words in faults(try_number, range(COUNT, ALL)).items()} == {}
