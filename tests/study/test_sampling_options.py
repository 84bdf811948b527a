"""Options of the samples that figures share, in a plan."""

from __future__ import annotations

import pytest

from rbmscape.errors import ConfigError
from rbmscape.study.plan import check_sampling


def test_known_options_pass():
    check_sampling("gallery", {"n_chains": 50, "budget": 1e10})


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
        check_sampling("gallery", options)
    assert "'gallery'" in str(refusal.value)
