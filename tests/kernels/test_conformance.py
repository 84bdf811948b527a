"""What every registered engine, gradient and annealer must do; `conformance` finds them."""

from __future__ import annotations

import pytest
import torch
from conformance import (
    ANNEALERS,
    ENGINES,
    STREAM,
    device_of,
    every_annealer,
    every_engine,
    exact_model,
    expected_walk,
    normal_model,
    path_ends,
    random_states,
    reference_for,
    started,
    states_of,
    swept,
    walked,
)
from hypothesis import given
from hypothesis import strategies as st

from rbmscape.kernels import Engine, Gradient, Parameters
from rbmscape.kernels.reference.engine import ReferenceEngine
from rbmscape.model.exact import exact_moments
from rbmscape.model.rbm import RBM

SHAPES = [(1, 1, 1), (3, 5, 2), (7, 784, 33), (4, 255, 257), (2, 256, 513), (9, 64, 1023), (33, 12, 24)]
PATHS = [(5, 3), (64, 70), (300, 260)]  # below one group of four, across a run of 64, across a block of 256
PHASES = [
    (1, 1, 1, 1),
    (3, 2, 7, 5),
    (16, 16, 20, 16),
    (37, 100, 131, 33),
    (500, 300, 200, 17),
    (129, 130, 68, 20),
    (700, 400, 785, 33),
]
# What is compared with the reference: all but itself
COMPARED = {
    name: one for name, one in ENGINES.items() if not (type(one) is ReferenceEngine and one.device.type == "cpu")
}
compared = pytest.mark.parametrize("engine", COMPARED.values(), ids=COMPARED)
PARTS = ("weights", "visible_bias", "hidden_bias")


@pytest.fixture(params=[1, 2])
def threads(request):
    """Serial and parallel passes, whatever torch was set to before."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def with_threads(counts, work):
    """Results of the same work with several numbers of threads."""
    before, results = torch.get_num_threads(), []
    try:
        for count in counts:
            torch.set_num_threads(count)
            results.append(work())
    finally:
        torch.set_num_threads(before)
    return results


def all_equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_registry_is_not_empty_and_engines_say_what_they_are():
    assert any(isinstance(one, ReferenceEngine) for one in ENGINES.values())
    for engine in ENGINES.values():
        assert isinstance(engine, Engine)
        sampler = engine.bind(normal_model(3, 4), 2)
        assert sampler.v.dtype == sampler.h.dtype == engine.state_dtype
        assert sampler.v.device.type == engine.device.type
        assert (sampler.v.shape, sampler.h.shape) == ((2, 3), (2, 4))


# Draws


@compared
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("beta", [1.0, 0.37])
def test_draws_are_those_of_the_reference(engine, shape, beta, threads):
    """One half-step each, since a unit that differs would change all later ones; exact sums leave no excuse."""
    n_chains, n_visible, n_hidden = shape
    model = exact_model(n_visible, n_hidden)
    assert all_equal(*(swept(one, model, n_chains, 1, beta) for one in (reference_for(engine), engine)))


@every_engine
def test_draws_differ_only_where_the_uniform_meets_the_probability(engine):
    """8 million draws over pre-activations in [-30, 30]: a difference needs |u - p| < 2e-7."""
    n_chains, n_units = 4000, 2000
    bias = torch.linspace(-30, 30, n_units)
    sampler = engine.bind(Parameters(torch.zeros(1, n_units), torch.zeros(1), bias), n_chains)
    sampler.sample_hidden(STREAM, 5)
    probability = torch.sigmoid(bias.double()).expand(n_chains, n_units)
    uniform = STREAM.uniform(5, n_chains, n_units).double()
    differs = (uniform < probability) != states_of(sampler)[1].bool()
    assert not differs.any() or float((uniform - probability)[differs].abs().max()) < 2e-7
    assert differs.sum() <= 10


@every_engine
def test_saturated_units_never_flip(engine):
    """At |x| of 40 and more, infinity included, the draw is certain; 0 · u and overflow must not leak through."""
    extremes = torch.tensor([40.0, 1e4, 2e38, float("inf"), -40.0, -1e4, -2e38, float("-inf")])
    sampler = engine.bind(Parameters(torch.zeros(1, 8), torch.zeros(1), extremes), 20_000)
    sampler.sample_hidden(STREAM, 0)
    assert torch.equal(states_of(sampler)[1].float().mean(0), torch.tensor([1.0] * 4 + [0.0] * 4))


@given(cut=st.integers(1, 10), offset=st.integers(0, 2**20), name=st.sampled_from(sorted(ENGINES)))
def test_split_of_the_chains_changes_nothing(cut, offset, name):
    engine, model = ENGINES[name], exact_model(20, 30)
    whole = swept(engine, model, 11, 4, first_chain=offset)
    head = swept(engine, model, cut, 4, first_chain=offset)
    tail = swept(engine, model, 11 - cut, 4, first_chain=offset + cut)
    assert all_equal(whole, [torch.cat(pair) for pair in zip(head, tail, strict=True)])


@every_engine
def test_threads_change_no_draw(engine):
    results = with_threads((1, 2, 3, 8), lambda: swept(engine, exact_model(50, 300), 37, 20))
    assert all(all_equal(results[0], other) for other in results[1:])


@every_engine
def test_steps_can_be_interrupted(engine):
    whole, parts = (started(engine, exact_model(20, 10), 6) for _ in range(2))
    whole.sweep(STREAM, 0, 7)
    parts.sweep(STREAM, 0, 3)
    parts.sweep(STREAM, 3, 4)
    assert all_equal(states_of(whole), states_of(parts))


@every_engine
def test_a_sweep_is_its_half_steps_and_another_draw_is_another_state(engine):
    whole, halves, other = (started(engine, exact_model(50, 60), 8) for _ in range(3))
    whole.sweep(STREAM, 5, 1)
    halves.sample_hidden(STREAM, 10)
    halves.sample_visible(STREAM, 11)
    assert all_equal(states_of(whole), states_of(halves))
    other.sample_hidden(STREAM, 12)  # negative control: the comparisons would notice a wrong draw
    assert not torch.equal(states_of(other)[1], states_of(whole)[1])


@every_engine
def test_an_update_is_a_new_binding(engine):
    first, second = exact_model(30, 20, seed=1), exact_model(30, 20, seed=2)
    renewed, fresh = started(engine, first, 12), started(engine, second, 12)
    renewed.sweep(STREAM, 0, 1)
    renewed.update(second)
    renewed.v.copy_(random_states(12, 30))
    for sampler in (renewed, fresh):
        sampler.sweep(STREAM, 0, 3)
    assert all_equal(states_of(renewed), states_of(fresh))


@every_engine
def test_hidden_probability_is_exact_whatever_the_sampling_precision(engine):
    model = normal_model(40, 25)
    sampler = engine.bind(model, 3)
    v = random_states(12, 40, 1, p=0.4).to(engine.device)
    dtype = torch.float64 if engine.precision == "fp64" else torch.float32
    out = sampler.hidden_probability(v.to(dtype), torch.empty(12, 25, dtype=dtype, device=engine.device), beta=0.7)
    expected = torch.sigmoid(0.7 * (v.cpu().double() @ model.weights.double() + model.hidden_bias.double()))
    assert float((out.cpu().double() - expected).abs().max()) < 3e-7


@pytest.mark.statistical
@every_engine
def test_moments_of_an_enumerated_model(engine):
    """Largest of 15 z-scores of independent chains after 60 steps below 4.5: a false alarm once in 10 000 engines.

    The model's weights are multiples of 1/16, which every number format holds.  The same means are far from those of a
    model with other biases (negative control).
    """
    parameters, n_chains = exact_model(9, 6, seed=4), 20_000
    v, h = swept(engine, parameters, n_chains, 60)

    def largest_z(model):
        moments = exact_moments(model)
        found, exact = torch.cat((v, h), 1).double().mean(0), torch.cat((moments.visible, moments.hidden))
        return float(((found - exact) / torch.sqrt(exact * (1 - exact) / n_chains)).abs().max())

    assert 0.05 < float(v.double().mean()) < 0.95, "all units agree: nothing is measured"
    assert largest_z(RBM(*(getattr(parameters, part) for part in PARTS))) < 4.5
    assert largest_z(RBM(parameters.weights, parameters.visible_bias + 0.1, parameters.hidden_bias)) > 4.5


# Gradients


def gradient_of(engine, model, data, chains):
    """The gradient's three parts and the mean of the data's hidden means, on the processor."""
    n_visible, n_hidden = model.weights.shape
    sampler = engine.bind(model, len(chains))
    sampler.v.copy_(chains)
    dtype = torch.float64 if engine.precision == "fp64" else torch.float32
    out = Gradient.empty(n_visible, n_hidden, dtype, engine.device)
    mean = sampler.gradient(len(data)).compute(data.to(engine.device), out)
    return [part.cpu().clone() for part in (*out.tensors, mean)]


def phases(n_data, n_chains, n_visible):
    return random_states(n_data, n_visible, 1, p=0.3), random_states(n_chains, n_visible, 2, p=0.3)


@every_engine
@pytest.mark.parametrize("shape", PHASES)
def test_gradient_is_that_of_float64(engine, shape):
    """Within the rounding of sums of float32, or better where the sums are exact."""
    n_data, n_chains, n_visible, n_hidden = shape
    model, states = normal_model(n_visible, n_hidden, 0.2), phases(n_data, n_chains, n_visible)
    weights, hidden = model.weights.double(), model.hidden_bias.double()
    data, chains = (part.double() for part in states)
    means = [torch.sigmoid(v @ weights + hidden) for v in (data, chains)]
    expected = (
        data.T @ means[0] / n_data - chains.T @ means[1] / n_chains,
        data.mean(0) - chains.mean(0),
        means[0].mean(0) - means[1].mean(0),
        means[0].mean(0),
    )
    rounding = 3e-7 if engine.precision in ("fixed", "fp64") and engine.name != "reference" else 2e-6
    for found, exact in zip(gradient_of(engine, model, *states), expected, strict=True):
        assert float((found.double() - exact).abs().max()) < rounding


@every_engine
@pytest.mark.parametrize("n_samples", [40, 200])
def test_threads_change_the_gradient_by_rounding_at_most(engine, n_samples):
    work = lambda: gradient_of(engine, normal_model(100, 50), *phases(n_samples, n_samples, 100))  # noqa: E731
    results = with_threads((1, 2, 3), work)
    for other in results[1:]:
        if engine.precision == "fixed" and engine.name != "reference":
            assert all_equal(results[0], other)
        for one, two in zip(results[0], other, strict=True):
            torch.testing.assert_close(one, two, rtol=0, atol=3e-7)


@every_engine
@pytest.mark.parametrize("n_samples", [11, 131])
def test_gradient_buffers_hold_nothing_of_the_update_before(engine, n_samples):
    model, (data, chains) = normal_model(33, 20), phases(n_samples, n_samples + 1, 33)
    sampler = engine.bind(model, n_samples + 1)
    gradient, data = sampler.gradient(n_samples), data.to(engine.device)
    dtype = torch.float64 if engine.precision == "fp64" else torch.float32
    first, second, again = (Gradient.empty(33, 20, dtype, engine.device) for _ in range(3))
    for rows, v, out in ((data, chains, first), (1 - data, 1 - chains, second), (data, chains, again)):
        sampler.v.copy_(v)
        gradient.compute(rows, out)
    assert all_equal(first.tensors, again.tensors)
    assert not torch.equal(first.weights, second.weights)  # negative control: other states, other gradient


@every_engine
def test_gradient_follows_an_update_of_the_sampler(engine):
    one, other, (data, chains) = normal_model(33, 20, seed=1), normal_model(33, 20, seed=2), phases(140, 140, 33)
    sampler = engine.bind(one, 140)
    gradient = sampler.gradient(140)
    sampler.update(other)
    sampler.v.copy_(chains)
    dtype = torch.float64 if engine.precision == "fp64" else torch.float32
    out = Gradient.empty(33, 20, dtype, engine.device)
    mean = gradient.compute(data.to(engine.device), out)
    found = [part.cpu() for part in (*out.tensors, mean)]
    assert all_equal(found, gradient_of(engine, other, data, chains))


# Annealing


@every_annealer
@pytest.mark.parametrize("shape", PATHS)
def test_paths_are_those_of_the_reference(annealer, shape):
    """States bit for bit, weights within the rounding of float32 sums, on a path whose temperatures are fixed."""
    ends = path_ends(*shape)
    found, expected = walked(annealer, ends), expected_walk(annealer, ends)
    assert all_equal(found[1:], expected[1:])
    torch.testing.assert_close(found[0], expected[0], rtol=0, atol=2e-4)


@every_annealer
def test_chains_do_not_depend_on_how_they_are_split(annealer):
    whole, part = walked(annealer, path_ends(70, 40), 12), walked(annealer, path_ends(70, 40), 5, first_chain=7)
    for all_chains, last_chains in zip(whole, part, strict=True):
        torch.testing.assert_close(all_chains[7:], last_chains, rtol=0, atol=1e-5)


@every_annealer
def test_threads_change_no_weight_of_integers_and_others_by_rounding(annealer):
    is_interpreted = annealer.name == "cuda" and device_of(annealer).type == "cpu"  # slow, and without threads
    shape, n_chains = ((70, 40), 5) if is_interpreted else ((300, 260), 70)
    results = with_threads((1, 2, 3), lambda: walked(annealer, path_ends(*shape), n_chains=n_chains))
    for other in results[1:]:
        assert all_equal(results[0][1:], other[1:])
        atol = 0.0 if annealer.name in ("tables", "tiles") else 1e-4
        torch.testing.assert_close(results[0][0], other[0], rtol=0, atol=atol)


@every_annealer
def test_saturated_units_give_finite_weights(annealer):
    model, base = path_ends(40, 30, 0.1)
    far = [1000.0 * bias for bias in (model.visible_bias, model.hidden_bias, *base)]
    ends = Parameters(model.weights, *far[:2]), (far[2], far[3])
    torch.testing.assert_close(walked(annealer, ends)[0], expected_walk(annealer, ends)[0], rtol=1e-6, atol=0)


@every_annealer
def test_all_zero_weights(annealer):
    model, base = path_ends(6, 5)
    ends = Parameters(torch.zeros(6, 5), model.visible_bias, model.hidden_bias), base
    torch.testing.assert_close(walked(annealer, ends)[0], expected_walk(annealer, ends)[0], rtol=0, atol=1e-5)


@every_annealer
@pytest.mark.parametrize("shape", PATHS)
def test_a_move_is_the_step_at_the_end_of_the_path(annealer, shape):
    (model, base), device = path_ends(*shape), device_of(annealer)
    v = random_states(40, shape[0], 3, p=0.4).to(device)
    moved, stepped = (annealer.bind(model, 40, base) for _ in range(2))
    for path in (moved, stepped):
        path.load(v)
    for draw in (0, 2):
        moved.move(STREAM, draw)
        stepped.step(torch.zeros(40, dtype=torch.float64, device=device), 1.0, 1.0, STREAM, draw)
    assert all_equal(states_of(moved), states_of(stepped))
    assert not torch.equal(moved.v.to(torch.uint8), v), "nothing moved"


@every_annealer
@pytest.mark.parametrize("shape", PATHS)
def test_log_density_at_the_chains_of_another_path(annealer, shape):
    (model, base), foreign = path_ends(*shape), path_ends(*shape, std=1.0)
    v = random_states(40, shape[0], 4, p=0.4)
    other = annealer.bind(foreign[0], 40, foreign[1])
    other.load(v.to(other.v.device))
    path = annealer.bind(model, base=base)
    found = path.on(other).log_density().cpu()
    exact = RBM(path.weights.cpu(), model.visible_bias.double(), model.hidden_bias.double())
    torch.testing.assert_close(found, -exact.free_energy(v.double()), rtol=0, atol=2e-4)
    assert torch.equal(found, path.on(other).log_density().cpu()), "a look changed the states"
    assert torch.equal(states_of(other)[0], v)


@every_annealer
def test_the_flat_measure_is_the_default_base(annealer):
    model, _ = path_ends(20, 10)
    flat = torch.zeros(20), torch.zeros(10)
    one, other = annealer.bind(model, 30), annealer.bind(model, 30, flat)
    weights = []
    for path in (one, other):
        path.load(random_states(30, 20, 6).to(path.v.device))
        weights.append(torch.zeros(30, dtype=torch.float64, device=path.v.device))
        path.weigh(weights[-1], 0.2, 0.7)
    assert torch.equal(*weights)
    assert float(weights[0].std()) > 0.1


@every_annealer
def test_other_chains_of_the_same_path_are_their_own(annealer):
    model, base = path_ends(64, 70)
    path = annealer.bind(model, 8, base)
    path.load(random_states(8, 64, 5).to(path.v.device))
    more = path.with_chains(24)
    more.load(random_states(24, 64, 0, p=0.4).to(more.v.device))
    assert torch.equal(states_of(path)[0], random_states(8, 64, 5))
    log_weights = torch.zeros(24, dtype=torch.float64, device=more.v.device)
    for step, (start, end) in enumerate([(0.0, 0.2), (0.2, 0.6), (0.6, 1.0)]):
        more.step(log_weights, start, end, STREAM, 2 * step + 1)
    more.weigh(log_weights, 1.0, 0.9)
    assert all_equal((log_weights.cpu(), *states_of(more)), walked(annealer, (model, base)))


@every_annealer
def test_marked_chains_are_exchanged(annealer):
    model, base = path_ends(64, 70)
    states = [random_states(40, 64, draw, p=0.4) for draw in (5, 6)]
    one, other = (annealer.bind(model, 40, base) for _ in states)
    for path, v in ((one, states[0]), (other, states[1])):
        path.load(v.to(path.v.device))
    swap = STREAM.uniform(7, 40, 1)[:, 0] < 0.5
    one.exchange(other, swap.to(one.v.device))
    for path, stay, come in ((one, *states), (other, *states[::-1])):
        assert torch.equal(states_of(path)[0], torch.where(swap[:, None], come, stay))


@pytest.mark.parametrize("kind", ["tables", "tiles"])
def test_ways_to_multiply_integers_are_all_tested(kind):
    """What the processor can do is in the table; what it cannot is not."""
    from rbmscape.kernels.llvm.amx import has_tiles
    from rbmscape.kernels.select import has_table_lookup

    can = has_table_lookup() if kind == "tables" else has_table_lookup() and has_tiles()
    assert (f"{kind}-cpu" in ANNEALERS) is can
