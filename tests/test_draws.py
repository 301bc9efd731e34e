"""Which operation how often, and how strongly: 28,000 draws of fixed keys, and tests that notice a wrong one."""

import numpy as np
import pytest
from scipy import stats

from tf_tickets import augment
from tf_tickets.augment import autoaugment, mixing, operations
from tf_tickets.backend import tf

COUNT = 28000
ALARM = 1e-4


def image_keys():
    """Keys of 28,000 images of one epoch."""
    return tf.constant(augment.keys(0, 1, 2, np.arange(COUNT)))


def rand_p_values():
    """P of the operations' frequencies (chi-square) and of each one's values (Kolmogorov-Smirnov)."""
    choice, value = (part.numpy() for part in operations.rand_draws(image_keys(), 128))
    names = np.array([name for name, _, _ in operations.RAND])[choice]
    found = {"which": stats.chisquare([np.sum(names == name) for name in RANGES]).pvalue}
    for name, (low, high) in RANGES.items():
        if high > low:
            found[name] = stats.kstest(value[names == name], stats.uniform(low, high - low).cdf).pvalue
    return found


RANGES = {
    "identity": (0, 0), "autocontrast": (0, 0), "equalize": (0, 0), "rotate": (-30, 30), "solarize": (0, 256),
    "color": (0.05, 0.95), "contrast": (0.05, 0.95), "brightness": (0.05, 0.95), "sharpness": (0.05, 0.95),
    "shear_x": (-0.1, 0.1), "shear_y": (-0.1, 0.1), "translate_x": (-0.1, 0.1), "translate_y": (-0.1, 0.1),
    "posterize": (4, 8),
}  # fmt: skip


def test_rand_draws_each_operation_as_often_and_as_strongly_as_the_paper_says():
    found = rand_p_values()
    assert len(found) == 12 and min(found.values()) > ALARM, found


@pytest.mark.parametrize(("index", "entry", "alarm"), [
    (3, ("rotate", -27.0, 30.0), "rotate"),
    (9, ("shear_x", 0.0, 0.1), "shear_x"),
    (4, ("solarize", 0.0, 256.0 * 0.9), "solarize"),
    (0, ("equalize", 0.0, 0.0), "which"),
])  # fmt: skip
def test_a_wrong_range_or_weight_is_noticed(monkeypatch, index, entry, alarm):
    changed = list(operations.RAND)
    changed[index] = entry
    monkeypatch.setattr(operations, "RAND", tuple(changed))
    assert rand_p_values()[alarm] < ALARM


def test_a_slightly_wrong_weight_is_noticed(monkeypatch):
    integers = operations.sampling.integers

    # One choice in 56 becomes the next one: a weight of 1/14 shrinks by a quarter.
    def shifted(keys, slot, count):
        return tf.maximum(integers(keys, slot, 4 * count) - 1, 0) // 4

    monkeypatch.setattr(operations.sampling, "integers", shifted)
    assert rand_p_values()["which"] < ALARM


def test_the_turns_of_rand_are_independent():
    first, second = (operations.rand_draws(image_keys(), slot)[0].numpy() for slot in (128, 130))
    assert stats.chisquare(np.bincount(first * 14 + second, minlength=196)).pvalue > ALARM


def auto_p_values(table):
    """p of both turns' operations, and of the signs where an operation has one."""
    expected = np.zeros((2, len(operations.AUTO)))
    for sub in autoaugment.TABLES[table]:
        for turn, (name, probability, _) in enumerate(sub):
            expected[turn, operations.AUTO.index(name)] += probability / 25
    expected[:, 0] = 1 - expected.sum(axis=1)
    found = {}
    for turn, (choice, value) in enumerate(operations.auto_draws(image_keys(), 128, table)):
        choice, value = choice.numpy(), value.numpy()
        counts = np.bincount(choice, minlength=len(operations.AUTO))
        used = expected[turn] > 0
        assert counts[~used].sum() == 0
        found[f"turn {turn}"] = stats.chisquare(counts[used], COUNT * expected[turn][used]).pvalue
        for name in ("rotate", "translate_y", "shear_x"):
            signs = np.sign(value[choice == operations.AUTO.index(name)])
            if (signs != 0).any():
                found[f"{name} {turn}"] = stats.binomtest(int((signs > 0).sum()), int((signs != 0).sum())).pvalue
    return found


@pytest.mark.parametrize("table", ["cifar10", "imagenet", "svhn"])
def test_auto_draws_its_table(table):
    found = auto_p_values(table)
    assert min(found.values()) > ALARM, found


def test_a_wrong_probability_of_auto_is_noticed(monkeypatch):
    index, probability, value = operations._auto_arrays("cifar10")
    changed = probability.copy()
    changed[1, 0] = 0.4  # rotate, 0.7 in the table
    monkeypatch.setattr(operations, "_auto_arrays", lambda name: (index, changed, value))
    assert auto_p_values("cifar10")["turn 0"] < ALARM


def test_auto_draws_the_magnitudes_of_its_levels():
    pairs = set()
    for choice, value in operations.auto_draws(image_keys(), 128, "cifar10"):
        pairs |= set(zip(choice.numpy().tolist(), value.numpy().tolist()))
    found = {(operations.AUTO[c], round(v, 5)) for c, v in pairs if c}
    assert found == {
        (name, round(float(np.float32(autoaugment.value(name, level, sign))), 5))
        for sub in autoaugment.TABLES["cifar10"] for name, probability, level in sub for sign in (-1, 1) if probability
    }  # fmt: skip


def test_all_orders_of_jitter_are_equally_frequent():
    orders = operations.random_order(image_keys(), 4, 4).numpy()
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 24 and stats.chisquare(counts).pvalue > ALARM


@pytest.mark.parametrize("a", [0.2, 1.0, 5.0])
def test_mixing_shares_are_beta(a):
    shares = mixing._beta(image_keys(), 1, a).numpy()
    # The quantiles are 4,096 steps; the jitter puts each draw back between its neighbours. Above 1/2, float32 cannot
    # tell the last quantiles of a small `a` from 1, so the lower half is compared and the halves are counted.
    lower = shares[shares < 0.5]
    ranks = stats.beta(a, a).cdf(lower) + np.random.default_rng(0).uniform(-0.5, 0.5, len(lower)) / 4096
    assert stats.kstest(np.clip(ranks, 0, 0.5), stats.uniform(0, 0.5).cdf).pvalue > ALARM
    assert stats.binomtest(len(lower), COUNT).pvalue > ALARM
