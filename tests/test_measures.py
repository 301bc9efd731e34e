"""What each number of `analyze` means, by hand and by other formulas."""

import types

import numpy as np
import pytest

import tf_tickets as tt
from tf_tickets.analysis import linear_probe, taps
from tf_tickets.analysis.activations import Loader
from tf_tickets.analysis.analyses import activity, overlap, probe, shot, similarity, stability
from tf_tickets.data import sources, subsets
from tf_tickets.models import architecture, builder
from tf_tickets.models.description import Kernel
from tf_tickets.registry import NETWORKS
from tf_tickets.report import statistics
from tf_tickets.settings import config
from tf_tickets.settings.places import Place

RNG = np.random.default_rng(5)


def settings(what, **changes):
    return tt.Config.from_values(what=what, probe_images=300, **changes)


def hsic(first, second):
    """HSIC_1 of Song et al. 2012, equation 5, from features."""
    count = len(first)
    one, other = (part.reshape(count, -1) @ part.reshape(count, -1).T for part in (first, second))
    for gram in (one, other):
        np.fill_diagonal(gram, 0.0)
    ones = np.ones(count)
    product = one @ other
    middle = (ones @ one @ ones) * (ones @ other @ ones) / ((count - 1) * (count - 2))
    return (np.trace(product) + middle - 2 / (count - 2) * (ones @ product @ ones)) / (count * (count - 3))


def direct_cka(first, second):
    return hsic(first, second) / np.sqrt(hsic(first, first) * hsic(second, second))


def batches(*layers, size=100):
    return [[layer[start : start + size] for layer in layers] for start in range(0, len(layers[0]), size)]


class TestSimilarity:
    hidden = RNG.normal(size=(600, 5))
    one = hidden @ RNG.normal(size=(5, 12)) + 0.5 * RNG.normal(size=(600, 12)) + 3.0
    other = np.tanh(hidden @ RNG.normal(size=(5, 8))).reshape(600, 2, 2, 2)

    def test_one_batch_is_the_direct_formula(self):
        found = similarity.cka(*(similarity.directions([[part]]) for part in (self.one, self.other)))
        assert found[0, 0] == pytest.approx(direct_cka(self.one, self.other), rel=1e-9)
        assert similarity.part(self.one) @ similarity.part(self.other) == pytest.approx(hsic(self.one, self.other))

    def test_minibatches_estimate_the_full_batch(self):
        found = similarity.cka(*(similarity.directions(batches(part)) for part in (self.one, self.other)))
        parts = [(a[0], b[0]) for a, b in zip(batches(self.one), batches(self.other))]
        sums = [np.mean([hsic(*pair) for pair in pairs]) for pairs in (
            parts, [(a, a) for a, _ in parts], [(b, b) for _, b in parts],
        )]  # fmt: skip
        assert found[0, 0] == pytest.approx(sums[0] / np.sqrt(sums[1] * sums[2]), rel=1e-9)
        assert found[0, 0] == pytest.approx(direct_cka(self.one, self.other), abs=0.03)

    def test_a_layer_is_like_itself_rotated_scaled_and_shifted_and_unlike_noise(self):
        rotation, _ = np.linalg.qr(RNG.normal(size=(12, 12)))
        noise = RNG.normal(size=(600, 12))
        found = similarity.directions(batches(self.one, 7.0 * self.one @ rotation - 2.0, noise, 0 * noise))
        matrix = similarity.cka(found, found)
        np.testing.assert_allclose(matrix[:2, :2], 1.0, atol=1e-12)
        # The unbiased estimate of unrelated layers is about zero, of a constant layer zero.
        assert abs(matrix[0, 2]) < 0.03 and not matrix[3].any()
        stretched = similarity.directions(batches(self.one * np.r_[20.0, np.ones(11)]))
        assert similarity.cka(found, stretched)[0, 0] < 0.9

    def test_too_small_a_batch_and_other_images_are_refused(self):
        with pytest.raises(ValueError, match="3 images is too small"):
            similarity.u_centred(self.one[:3])
        with pytest.raises(ValueError, match="the same images"):
            similarity.cka(*(similarity.directions(batches(self.one[:count])) for count in (200, 300)))


class TestOverlap:
    def test_masks_made_by_hand(self):
        one, other = np.array([[1, 1], [0, 0]], bool), np.array([[1, 0], [1, 0]], bool)
        found = dict(metric[:2] for metric in overlap.compare({"a": one, "b": ~one}, {"a": other, "b": ~one}))
        assert found["iou:a"] == 1 / 3 and found["iou:b"] == 1.0 and found["iou"] == 3 / 5
        # Two of four in each: one shared on average, three in either.
        assert found["iou_chance:a"] == 1 / 3 and found["iou_chance"] == pytest.approx(1 / 3)
        assert overlap.compare({"a": one & False}, {"a": other & False}) == []

    def test_independent_masks_overlap_by_chance(self):
        def draw(generator):
            return {"a": generator.random((40, 50)) < 0.3, "b": generator.random((30, 100)) < 0.05}

        found = [
            dict(m[:2] for m in overlap.compare(draw(np.random.default_rng(i)), draw(np.random.default_rng(1000 + i))))
            for i in range(200)
        ]
        for ending in ("", ":a", ":b"):
            gaps = np.array([one[f"iou{ending}"] - one[f"iou_chance{ending}"] for one in found])
            assert abs(gaps.mean()) < 4 * gaps.std() / np.sqrt(200)
        assert np.mean([one["iou_chance:a"] for one in found]) == pytest.approx(0.09 / 0.51, abs=0.002)

    def test_other_shapes_are_refused(self):
        with pytest.raises(ValueError, match="layer b"):
            overlap.compare({"a": np.ones(3, bool), "b": np.ones(2, bool)}, {"a": np.ones(3, bool)})


def test_holm_by_hand():
    # 4 x 0.005, 3 x 0.01, 2 x 0.03 and 0.04 raised to the one before.
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.7, 0.6]).tolist() == [1.0, 1.0]
    assert statistics.holm([0.2]).tolist() == [0.2] and statistics.holm([]).tolist() == []


def test_barrier_by_hand():
    assert stability.barrier([0.3] * 11) == 0.0
    assert stability.barrier([0.1, 0.5, 0.9, 0.4, 0.3]) == pytest.approx(0.9 - 0.2)
    assert stability.alphas() == pytest.approx(np.arange(11) / 10)
    ends = {"w": np.float32([1.0, 3.0])}, {"w": np.float32([2.0, -1.0])}
    np.testing.assert_allclose(stability.interpolated(*ends, 0.25)["w"], [1.25, 2.0])
    assert stability.interpolated(*ends, 1.0)["w"] is ends[1]["w"]


class TestActivity:
    def test_dead_channels_by_hand(self):
        plain, depthwise, dense = np.zeros((3, 3, 2, 4), bool), np.zeros((3, 3, 5, 1), bool), np.ones((6, 3), bool)
        plain[0, 0, 1, 2] = depthwise[:, :, 1] = depthwise[2, 2, 4] = True
        dense[:, 1] = False
        assert activity.dead_channels(plain) == 3
        assert activity.dead_channels(depthwise, "depthwise") == 3
        assert activity.dead_channels(dense, "dense") == 1

    def test_multiply_adds_by_hand(self):
        kernels = [Kernel("a", (3, 3, 2, 4), True), Kernel("linear", (4, 3), False, "dense")]
        mask = np.zeros((3, 3, 2, 4), bool)
        mask[0, :, :, 0] = True
        found = {m: (value, n) for m, value, n in activity.layer_metrics(
            kernels, {"a": mask}, {"a": (5, 6, 4), "linear": (3,)}
        )}  # fmt: skip
        assert found["multiply_adds:a"] == (6 * 30, 72) and found["multiply_adds_dense:a"] == (72 * 30, 72)
        assert found["multiply_adds"] == (180 + 12, 84) and found["multiply_adds_dense"] == (2160 + 12, 84)
        assert found["dead_channels:a"] == found["dead_channels"] == (3, 4)
        assert "dead_channels:linear" not in found

    def test_silent_channels_and_norms_by_hand(self):
        silent = activity.Silent()
        silent.add(np.array([[[0.0, 1.0, 0.0]]]))
        silent.add(np.array([[[0.0, 0.0, 2.0]]]))
        assert silent.count == (1, 3)
        np.testing.assert_allclose(activity.norm_ratios(np.array([[3.0, 4.0]]), np.array([[0.0, 2.0]])), [2.5])

    def test_a_residual_network_s_branches_are_told_apart(self):
        facts = {"name": "resnet18", "classes": 10, "image_shape": [8, 8, 1], "stem": "small", "width": 2}
        model = builder.build(**facts | {"image_shape": (8, 8, 1)})
        # Without scale and shift, the last residual branch is zero: its ratio is 0, the block before is alive.
        for variable in model.get_layer("layer4.1.bn2").variables[:2]:
            variable.assign(0.0 * variable)
        model.get_layer("layer1.0.bn1").gamma.assign([1.0, 0.0])
        data_set = sources.load("digits").data_set
        ticket = types.SimpleNamespace(network=facts, masks={})
        network = types.SimpleNamespace(model=model, ticket=ticket, data_set=data_set, place=Place())
        found = {m: value for m, value, _ in activity._measure(network, [], Loader(settings("activity")))}
        assert found["residual_to_shortcut:layer4.1.add"] == 0.0
        assert found["residual_to_shortcut:layer4.0.add"] > 0.01
        assert found["silent_channels:layer1.0.relu1"] == 1
        # A stem of 3x3 on one channel at 64 positions, 2 filters.
        assert found["multiply_adds:pre_conv.0"] == 9 * 2 * 64


def test_shots_by_hand():
    counts = [101, 100, 20, 19, 5]
    labels = np.array([0, 0, 1, 1, 2, 2, 2, 3])
    predicted = np.array([0, 1, 1, 1, 2, 0, 0, 0])
    assert shot.accuracies(predicted, labels, counts) == [
        ("many", 0.5, 2), ("medium", pytest.approx((1.0 + 1 / 3) / 2), 5), ("few", 0.0, 1),
    ]  # fmt: skip
    assert [name for name, *_ in shot.accuracies(labels, labels, [200] * 5)] == ["many"]


class TestProbe:
    def test_separable_classes_are_separated_and_noise_is_not(self):
        labels = np.tile(np.arange(4), 100)
        signal = np.eye(4)[labels] + 0.2 * RNG.normal(size=(400, 4))
        noise = RNG.normal(size=(400, 30))
        parts = [slice(0, 160), slice(160, 200), slice(200, 400)]
        good = linear_probe.fit(*((signal[part], labels[part]) for part in parts[:2]))
        assert good.accuracy(signal[parts[2]], labels[parts[2]]) > 0.95 and good.strength in linear_probe.STRENGTHS
        bad = linear_probe.fit(*((noise[part], labels[part]) for part in parts[:2]))
        assert bad.accuracy(noise[parts[2]], labels[parts[2]]) < 0.4
        assert bad.strength < good.strength or bad.held_out_accuracy < good.held_out_accuracy

    def test_the_penalty_is_the_best_on_the_images_held_out(self):
        labels = np.tile([0, 1], 140)
        features = RNG.normal(size=(280, 60)) + np.r_[0.8, np.zeros(59)] * labels[:, None]
        train, held = ((features[part], labels[part]) for part in (slice(80), slice(80, 280)))
        mean, deviation = features.mean(axis=0), features.std(axis=0)
        scaled = [(part - mean) / deviation for part in (train[0], held[0])]
        each = [
            (linear_probe.classifier(strength, scaled[0], train[1]).predict(scaled[1]) == held[1]).mean()
            for strength in linear_probe.STRENGTHS
        ]
        found = linear_probe.fit(train, held)
        assert min(each) < max(each) == found.held_out_accuracy
        assert found.strength == linear_probe.STRENGTHS[each.index(max(each))]

    def test_images_take_the_network_s_shape(self):
        grey = RNG.random((2, 4, 5, 1)).astype(np.float32)
        wide = probe.adapted(grey, (6, 8, 3))
        np.testing.assert_array_equal(wide[:, 1:5, 1:6], np.repeat(grey, 3, axis=3))
        assert wide.shape == (2, 6, 8, 3) and wide.sum() == pytest.approx(3 * grey.sum(), rel=1e-5)
        np.testing.assert_allclose(probe.adapted(wide, (6, 8, 1))[:, 1:5, 1:6], grey, rtol=1e-6)
        small = probe.adapted(np.full((2, 9, 9, 1), 0.25, np.float32), (4, 4, 1))
        np.testing.assert_allclose(small, np.full((2, 4, 4, 1), 0.25), rtol=1e-5)
        with pytest.raises(ValueError, match="3 channels cannot become images of 13"):
            probe.adapted(wide, (6, 8, 13))

    def test_its_images_are_stratified_and_apart(self):
        found = probe.probe_images(Loader(settings("probe")), "digits")
        assert (len(found["train"]), len(found["held_out"]), len(found["test"])) == (240, 60, 600)
        assert not set(found["train"].ids) & set(found["held_out"].ids)
        # Not the images that a run of 300 is trained on.
        run = subsets.choose(config.Data(dataset="digits", images=300), sources.load("digits").labels).train
        assert len(set(run) & {*found["train"].ids, *found["held_out"].ids}) < 150
        assert set(np.bincount(np.concatenate([found["train"].labels, found["held_out"].labels]))) <= {29, 30, 31}


@pytest.mark.parametrize(
    "model", [name for name in NETWORKS if any(part in name for part in ("1", "_v", "vit", "lite"))]
)
def test_the_layers_looked_at_exist_and_stay_readable(model):
    described = architecture.describe(model, classes=10, image_shape=(32, 32, 3), width=64 if "vit" in model else 8)
    names = taps.compared(described)
    assert 8 <= len(names) <= taps.READABLE + 3 and len(set(names)) == len(names) and names[-1] == "linear"
    families = ("resnet18", "vgg11", "mobilenet_v2", "vit_small", "harmonic_resnet18", "wide_resnet16")
    if model in (*families, "efficientnet_lite0"):
        network = builder.build(model, classes=10, image_shape=(32, 32, 3), width=described.width)
        assert all(network.get_layer(name) for name in [*names, *described.probed()])
        stages = 3 if model == "wide_resnet16" else 4
        assert len(described.probed()) == (stages if "resnet" in model else 1)
