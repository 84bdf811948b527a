"""Options of the samples that figures share, in a plan."""

from __future__ import annotations

import pytest

from rbmscape.errors import ConfigError
from rbmscape.figures.registry import select


def test_known_options_pass():
    sampling = {"n_chains": 50, "budget": 1e10}
    (gallery,) = select(["gallery"])
    assert gallery.options({"n_samples": 3, "sampling": sampling})[1] == sampling


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_chain": 50}, "no option 'n_chain'; it has n_chains, budget, target"),
        ({"n_chains": 1}, "two chains or more"),
        ({"budget": "large"}, "are numbers"),
        (3, "must be a table"),
    ],
)
def test_others_are_refused_with_the_figure_s_name(options, words):
    with pytest.raises(ConfigError, match=words) as refusal:
        select(["gallery"])[0].options({"sampling": options})
    assert "'gallery'" in str(refusal.value)
