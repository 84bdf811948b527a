"""Trees of fixed points: the planted hierarchy is found, and what did not converge is counted and kept apart."""

import re
from functools import cache

import numpy as np
import pytest

from rbmscape import TrainingConfig, fixed_point_tree, fixed_points, mean_field, train
from rbmscape.data.hierarchy import planted_tree
from rbmscape.diffusion.curie_weiss import CurieWeiss
from rbmscape.errors import DataError, InputError, ShapeError


@cache
def trained():
    data = planted_tree(48, (2, 2), (1.0, 0.5), 0.03, n_train=2000, n_test=1, seed=2)
    config = TrainingConfig(
        n_hidden=24, learning_rate=0.1, epochs=100, gibbs_steps=3, schedule="constant", averaging=0, batch_size=250,
        n_chains=250, early_checkpoints=3, checkpoint_epochs=(10, 15, 20, 25, 30, 40, 50, 70, 100),
    )  # fmt: skip
    run = train(data, config, progress=False)
    return data, run, list(run.models())


def leaves_below(newick):
    """The sets of leading labels below every inner node of a Newick string."""
    stack, found = [], []
    for token in re.findall(r"\(|\)|[^(),;:]+", newick):
        if token == "(":
            stack.append(set())
        elif token == ")":
            closed = stack.pop()
            found.append(frozenset(closed))
            if stack:
                stack[-1] |= closed
        elif (match := re.match(r"(\d)_\d+of", token)) and stack:
            stack[-1].add(int(match[1]))
    return found


def test_planted_tree_has_the_distances_that_its_plan_says():
    data = planted_tree(100, (2, 3), (0.4, 0.3), noise=0.0, n_train=600)
    prototypes = data.attributes["prototypes"].astype(int)
    distance = np.abs(prototypes[:, None] - prototypes).sum(2)
    siblings = [[0, 1, 2], [3, 4, 5]]
    for group in siblings:
        assert {distance[i, k] for i in group for k in group if i != k} == {20}
    assert distance[0, 3] > 20
    np.testing.assert_array_equal(data.train, data.attributes["prototypes"][data.train_labels])


def test_tree_of_planted_hierarchical_data_is_the_planted_one():
    data, run, models = trained()
    tree = fixed_point_tree(models, run.updates, data.train[:600])
    assert tree.sizes[0] == 1
    assert tree.unconverged.sum() == 0
    assert 4 <= tree.sizes[-1] <= 6
    # Every leaf holds one class but for a few samples with many flips, and the first split is between {0,1} and {2,3}.
    _, counts = tree.class_counts(data.train_labels[:600], -1)
    assert counts.max(1).sum() > 0.98 * 600
    inner = leaves_below(tree.newick(data.train_labels[:600]))
    assert {frozenset({0, 1}), frozenset({2, 3}), frozenset({0, 1, 2, 3})} <= set(inner)
    assert frozenset({0, 2}) not in inner
    first_split = int(np.argmax(tree.sizes == 2)) if (tree.sizes == 2).any() else int(np.argmax(tree.sizes > 1))
    _, early = tree.class_counts(data.train_labels[:600] // 2, first_split)
    assert early.max(1).sum() > 0.98 * 600


def test_every_node_has_one_parent_and_samples_stay_together_towards_the_root():
    data, run, models = trained()
    tree = fixed_point_tree(models, run.updates, data.train[:300])
    for level, parents in enumerate(tree.parents):
        assert parents.shape == (tree.sizes[level + 1],)
        assert set(parents) == set(range(int(tree.sizes[level])))
        np.testing.assert_array_equal(tree.membership(level), parents[tree.membership(level + 1)])
    for unit, length in (("levels", len(run.updates) - 1), ("updates", run.updates[-1] - run.updates[0])):
        newick = tree.newick(lengths=unit)
        assert newick.endswith(";")
        assert newick.count("(") == newick.count(")")
        depth = re.search(r"^\(*[^,():]+:([\d.]+)", newick)
        assert depth is not None
        assert 0 < float(depth[1]) <= length


def test_fixed_points_of_two_wells_and_order_one_against_mean_field():
    model = CurieWeiss(30, 30, 1.5)
    states = np.repeat([[0], [1]], 30, axis=1).repeat([3, 2], axis=0)
    found = fixed_points(model.rbm(), states, order=1)
    np.testing.assert_array_equal(found.member, [0, 0, 0, 1, 1])
    np.testing.assert_allclose(2 * found.m[1].numpy() - 1, model.magnetisation()[0], atol=1e-3)
    solution = mean_field(model.rbm(), order=2, n_starts=4)
    onsager = fixed_points(model.rbm(), states, order=2)
    assert min(float((onsager.m[0].double() - s.m).abs().max()) for s in solution.solutions) < 1e-3


def test_what_does_not_converge_is_counted_and_never_merged():
    data, run, models = trained()
    tree = fixed_point_tree(models[-3:], run.updates[-3:], data.train[:40], max_iterations=2)
    assert tree.unconverged[-1] == 40
    assert tree.sizes[-1] == 40
    np.testing.assert_array_equal(tree.member, np.arange(40))
    assert tree.newick().count("_unconverged") == 40
    assert "40 not converged" in repr(fixed_points(models[-1], data.train[:40], max_iterations=2))
    same = fixed_points(models[-1], np.repeat(data.train[:1], 5, axis=0), max_iterations=1)
    assert len(same.converged) == 5  # equal states, not one of them converged


def test_bad_input_is_refused():
    _, _, models = trained()
    states = np.zeros((2, 48))
    with pytest.raises(InputError, match="two or more checkpoints"):
        fixed_point_tree(models[:1], [0], states)
    with pytest.raises(InputError, match="rising updates"):
        fixed_point_tree(models[:2], [1, 0], states)
    with pytest.raises(InputError, match="lower the tolerance"):
        fixed_points(models[0], states, tolerance=0.01)
    with pytest.raises(InputError, match="order must be"):
        fixed_points(models[0], states, order=4)
    with pytest.raises(ShapeError, match="48"):
        fixed_points(models[0], np.zeros((2, 47)))
    tree = fixed_point_tree(models[:2], [0, 1], states)
    with pytest.raises(ShapeError, match="2 samples"):
        tree.class_counts([1], 0)
    with pytest.raises(InputError, match="lengths"):
        tree.newick(lengths="epochs")
    with pytest.raises(InputError, match="levels run from 0 to 1"):
        tree.membership(2)
    with pytest.raises(DataError, match="cannot tell 2 children apart"):
        planted_tree(10, (2,), (0.05,))
