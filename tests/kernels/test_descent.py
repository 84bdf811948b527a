"""From the gradient to the next parameters: the passes against their definition, and the definition against torch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rbmscape.kernels.interface import Gradient
from rbmscape.kernels.reference.descent import CARRIED, DescentRule, Numbers, ReferenceDescent, by_halves
from rbmscape.kernels.select import has_table_lookup
from rbmscape.training.gradient import center

NUMBERS = [Numbers(0.1, 0.3, 0.7), Numbers(0.07, 0.5, 0.2)]
RULES = [
    {"averaged": True, "longest": 0.4, "l1": 1e-3, "l2": 1e-2},
    {"centered": False},
    {"longest": 50.0, "l1": 1e-3},
]


def case(shape, seed=0):
    generator = np.random.default_rng(seed)
    sizes = shape, shape[:1], shape[1:]
    parameters, *gradients = (
        [torch.from_numpy(generator.normal(0, std, size).astype(np.float32)) for size in sizes]
        for std in (0.3, 0.02, 0.05)
    )
    means = [torch.from_numpy(generator.random(n).astype(np.float32)) for n in shape]
    return parameters, [Gradient(*tensors) for tensors in gradients], means


def moved(kind, rule, shape):
    """All that two updates change."""
    parameters, gradients, (mu, mean) = case(shape)
    average = [one.clone() for one in parameters]
    descent = kind(rule, parameters, average, mu)
    for gradient, numbers in zip(gradients, NUMBERS, strict=True):
        descent.move(gradient, mean, numbers)
    return parameters + average + [one for slot in descent.slots.values() for one in slot]


CASES = [*(("sgd", choices) for choices in RULES[1:]), *((optimizer, RULES[0]) for optimizer in CARRIED)]


@pytest.mark.skipif(not has_table_lookup(), reason="these passes belong to precision 'fixed' of a processor")
@pytest.mark.parametrize(("optimizer", "choices"), CASES)
def test_passes_give_the_bits_of_the_definition(optimizer, choices):
    """For any number of threads, of which one recipe has two."""
    from rbmscape.kernels.integers.descent import IntegerDescent

    rule = DescentRule(optimizer=optimizer, momentum=0.5, **choices)
    threads = torch.get_num_threads()
    for shape, count in (((130, 70), 1), ((130, 70), 2 if optimizer == "adam" else 1), ((1, 1), 1)):
        wanted = moved(ReferenceDescent, rule, shape)
        torch.set_num_threads(count)
        try:
            found = moved(IntegerDescent, rule, shape)
        finally:
            torch.set_num_threads(threads)
        assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))


@pytest.mark.parametrize("optimizer", CARRIED)
def test_the_definition_is_torch_s_optimiser_but_for_rounding(optimizer):
    rule = DescentRule(optimizer=optimizer, momentum=0.5, longest=0.3, averaged=True)
    parameters, (gradient, _), (mu, mean) = case((30, 20))
    wanted = [one.double().requires_grad_() for one in parameters]
    ascent = Gradient(*(one.double() for one in gradient.tensors))
    center(ascent, mu.double(), mean.double())
    length = math.sqrt(sum(float(one.square().sum()) for one in ascent.tensors))
    assert length > 0.3
    kinds = {
        "adam": lambda: torch.optim.Adam(wanted, lr=0.1 * (1 - 0.9)),
        "rmsprop": lambda: torch.optim.RMSprop(wanted, lr=0.1, alpha=0.999),
        "nesterov": lambda: torch.optim.SGD(wanted, lr=0.1, momentum=0.5, nesterov=True),
        "momentum": lambda: torch.optim.SGD(wanted, lr=0.1, momentum=0.5),
        "sgd": lambda: torch.optim.SGD(wanted, lr=0.1),
    }
    for value, slope in zip(wanted, ascent.tensors, strict=True):
        value.grad = -slope * 0.3 / length
    kinds[optimizer]().step()
    average = [one.clone() for one in parameters]
    before = [one.double() for one in parameters]
    descent = ReferenceDescent(rule, parameters, average, mu)
    descent.move(gradient, mean, Numbers(0.1, math.sqrt(1.0 - 0.999), 0.25))
    for value, mean_value, start, known in zip(parameters, average, before, wanted, strict=True):
        torch.testing.assert_close(value.double(), known.detach(), rtol=0, atol=2e-6)
        torch.testing.assert_close(mean_value.double(), start + 0.25 * (known - start), rtol=0, atol=2e-6)


def test_halves_are_added_to_halves():
    terms = torch.tensor([1e16, 1.0, -1e16, 1.0, 1.0], dtype=torch.float64)
    assert float(by_halves(terms)) == ((1e16 + 1.0) + -1e16) + (1.0 + 1.0)
