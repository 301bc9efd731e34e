"""Every network, head and loss: exact counts, different functions, and two rounds of pruning each."""

import re

import numpy as np
import pytest
from conftest import QUICK, ROOT, SETTINGS

import tf_tickets as tt
from tf_tickets import backend, runs, runtime, storage
from tf_tickets.backend import tf
from tf_tickets.errors import UsageError
from tf_tickets.experiments import plan as plans
from tf_tickets.export import keras_program
from tf_tickets.models import architecture, description, initial, layers
from tf_tickets.pruning import masks as pruning_masks
from tf_tickets.registry import NETWORKS
from tf_tickets.settings.config import options
from tf_tickets.training import losses

# Trainable parameters and prunable weights at the usual width, ten classes, 32x32x3.
COUNTS = {
    "resnet18": (11173962, 11159232), "resnet34": (21282122, 21259968), "resnet50": (23520842, 23447232),
    "resnet101": (42512970, 42387136), "resnet152": (58156618, 57984704), "vgg11": (9231114, 9217728),
    "vgg13": (9416010, 9402048), "vgg16": (14728266, 14710464), "vgg19": (20040522, 20018880),
    "wide_resnet16": (10961370, 10949040), "mobilenet_v2": (2296922, 2249024),
    "efficientnet_lite0": (3383818, 3328992), "vit_small": (21379210, 21233664),
}  # fmt: skip


def test_the_registry_is_complete_with_exact_counts():
    for name in NETWORKS:
        described = architecture.describe(name, classes=10, image_shape=(32, 32, 3))
        plain = name.removeprefix("harmonic_").removeprefix("full_conv_")
        found = described.trainable_parameters(), sum(kernel.size for kernel in described.prunable())
        assert found == COUNTS[plain], name


def small(name):
    """The smallest form of a network on 16-pixel grey images."""
    width = {"mobilenet_v2": 8, "efficientnet_lite0": 8, "vit_small": 64}.get(name, 2)
    return {"classes": 3, "image_shape": (16, 16, 1), "width": width}


def test_no_two_names_compute_the_same_function_and_each_is_what_its_entry_says():
    """The release's harmonic and full-convolution names all built the plain network."""
    images = np.random.default_rng(0).normal(size=(4, 16, 16, 1)).astype(np.float32)
    found = {}
    deep = ("34", "101", "152")
    for name in (name for name in NETWORKS if not name.endswith(deep)):
        model, entry = tt.models.build(name, **small(name)), NETWORKS[name]
        normalised = any(isinstance(layer, backend.keras.layers.BatchNormalization) for layer in model.layers)
        assert (normalised, keras_program.of(model) is not None) == (entry.normalises, entry.runtime), name
        for k, kernel in enumerate(architecture.describe(name, **small(name)).kernels()):
            values = np.sin(1 + 0.7 * np.arange(kernel.size) + k) / np.sqrt(kernel.fan_in)
            model.get_layer(kernel.name).kernel.assign(values.reshape(kernel.shape))
            if kernel.bias:
                model.get_layer(kernel.name).bias.assign(np.zeros(kernel.outputs))
        found[name] = model(images, training=True).numpy()
    names = list(found)
    for index, first in enumerate(names):
        for second in names[index + 1 :]:
            assert not np.allclose(found[first], found[second], rtol=1e-3), (first, second)
    structures = {
        tuple((k.shape, k.kind) for k in architecture.describe(name, **small(name)).kernels())
        for name in NETWORKS if "full_conv" not in name
    }  # fmt: skip
    assert len(structures) == sum("full_conv" not in name for name in NETWORKS)


FAMILIES = {
    "harmonic_resnet18": 2, "full_conv_resnet18": 2, "wide_resnet16": 2, "vgg11": 2, "mobilenet_v2": 8,
    "efficientnet_lite0": 8, "vit_small": 64,
}  # fmt: skip


@pytest.mark.parametrize(
    "model", [pytest.param(name, marks=[] if name == "vgg11" else pytest.mark.slow) for name in FAMILIES]
)
def test_two_rounds_of_every_family(model, tmp_path):
    changes = {"model": model, "width": FAMILIES[model], "epochs": 2, "rounds": 2, "images": 30, "tensorboard": False}
    config = tt.Config.from_values(**SETTINGS | changes, out=str(tmp_path))
    result = tt.imp(config)
    folder, plan = runs.RunFolder(result.folder), plans.resolve(config)
    left = [summary["weights_left"] for summary in folder.summaries()]
    assert left == pruning_masks.remaining_counts(sum(kernel.size for kernel in plan.kernels), 0.2, 2)
    masks, weights = storage.read_arrays(folder.round(1).mask), storage.read_arrays(folder.round(1).weights)
    assert list(masks) == plan.prunable and sum(mask.sum() for mask in masks.values()) == left[1]
    assert (storage.read_arrays(folder.rewind)["linear/kernel"] != 0).any()
    ticket = tt.Ticket.load(folder.ticket)
    for name, mask in masks.items():
        assert not weights[f"{name}/kernel"][~mask].any()
        assert not ticket.trained[f"{name}/kernel"][~mask].any()
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), dtype=np.uint8)
    served = tf.saved_model.load(folder.ticket).signatures["serving_default"](images=tf.constant(images))
    np.testing.assert_allclose(ticket.predict(images), served["probabilities"], atol=1e-6)


@pytest.mark.parametrize("model", [*FAMILIES, "resnet18"])
def test_scope_layer_takes_exactly_its_share_of_every_kernel(model):
    described = architecture.describe(model, **small(model))
    weights = {kernel.name: initial.kernel(kernel, 0) for kernel in described.prunable()}
    masks = pruning_masks.layer_magnitude(weights, rate=0.2)
    for kernel in described.prunable():
        assert masks[kernel.name].sum() == kernel.size - round(0.2 * kernel.size), kernel.name
    depthwise = [kernel.name for kernel in described.prunable() if kernel.kind == "depthwise"]
    assert len(depthwise) == {"mobilenet_v2": 17, "efficientnet_lite0": 16}.get(model, 0)


def test_heads_equal_pytorch(fixture_arrays):
    fixture = fixture_arrays("heads.npz")
    features, targets = tf.constant(fixture["features"]), tf.one_hot(fixture["targets"], 10)
    for kind in ("cosine", "tvmf"):
        head = layers.SimilarityHead(10, kind, 16.0)
        head.build([None, 32])
        head.kernel.assign(fixture[f"{kind}/weight"].T)
        head.s.assign(fixture[f"{kind}/s"])
        np.testing.assert_allclose(head.similarity(features), fixture[f"{kind}/logits"], atol=1e-5)
        loss = tf.reduce_mean(losses.cross_entropy(targets, head(features)))
        np.testing.assert_allclose(loss, fixture[f"{kind}/loss"], rtol=1e-5)
    found = losses.cross_entropy_cosine(targets, tf.constant(fixture["cosine_criterion/logits"]))
    np.testing.assert_allclose(tf.reduce_mean(found), fixture["cosine_criterion/loss"], rtol=1e-5)


def test_a_head_of_zero_features_has_a_gradient():
    head = layers.SimilarityHead(3, "tvmf", 16.0)
    features = tf.Variable(tf.zeros([2, 4]))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(head(features))
    assert np.isfinite(tape.gradient(loss, features)).all()


def test_losses_are_their_definitions():
    logits = tf.constant([[2.0, -1.0, 0.5], [0.1, 0.2, 0.3]])
    targets = tf.one_hot([0, 2], 3)
    log_probability = tf.nn.log_softmax(logits).numpy()
    smooth = np.eye(3)[[0, 2]] * 0.9 + 0.1 / 3
    np.testing.assert_allclose(
        losses.build("label_smoothing", None)(targets, logits), -(smooth * log_probability).sum(1), rtol=1e-6
    )
    adjusted = losses.build("logit_adjusted", [80, 15, 5])(targets, logits)
    shifted = tf.nn.log_softmax(logits + np.log([0.8, 0.15, 0.05]).astype(np.float32)).numpy()
    np.testing.assert_allclose(adjusted, [-shifted[0, 0], -shifted[1, 2]], rtol=1e-6)
    assert np.isfinite(losses.build("logit_adjusted", [80, 0, 20])(targets, logits)).all()
    weighted = losses.build("class_weighted", [80, 15, 5])(targets, logits)
    shares = np.asarray(targets) @ (100 / (3 * np.array([80.0, 15.0, 5.0])))
    np.testing.assert_allclose(weighted, losses.cross_entropy(targets, logits) * shares, rtol=1e-5)


@pytest.mark.parametrize(("changes", "message"), [
    ({"model": "vit_small", "width": 100}, "multiple of 64"),
    ({"model": "resnet18", "prunable": "feed_forward"}, "belongs to --model=vit_small"),
    ({"head": "cosine", "kappa": 8.0}, "belongs to --head=tvmf"),
    ({"head": "arcface"}, "is not one of linear, cosine, tvmf"),
    ({"loss": "hinge"}, "is not one of"),
    ({"model": "vit_smal"}, "did you mean vit_small?"),
])  # fmt: skip
def test_bad_combinations_are_refused_early(changes, message):
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        plans.resolve(tt.Config.from_values(**SETTINGS | {"width": None} | changes))


def test_a_similarity_head_trains_and_ships(tmp_path):
    changes = {"head": "tvmf", "epochs": 3, "rounds": 2, "images": 40, "loss": "cross_entropy_cosine", "rewind": "init"}
    result = tt.imp(tt.Config.from_values(**QUICK | changes, out=str(tmp_path)))
    weights = storage.read_arrays(runs.RunFolder(result.folder).round(1).weights)
    assert weights["linear/s"] != 0 and "linear/bias" not in weights
    assert tt.Ticket.load(result.best.folder).predict(np.zeros([1, 8, 8, 1], np.uint8)).shape == (1, 10)


def test_mixed_precision_keeps_kernels_in_float32():
    backend.start(tt.Config.from_values().run)
    model = tt.models.build("mobilenet_v2", **small("mobilenet_v2"), precision="mixed_bfloat16")
    assert model(np.zeros([2, 16, 16, 1], np.float32)).dtype == tf.float32
    assert model.get_layer("layers.0.conv2").kernel.dtype == tf.float32


def listed_in_the_page():
    """The names after `--model`: `vgg11 13` is short for two, `harmonic_` stands before all of the first list."""
    text = (ROOT / "docs" / "networks.md").read_text()
    first, *spans = re.findall("`([^`]+)`", re.search(r"(?m)^`--model`:((?:.|\n)*?); `--width`", text)[1])
    plain = spelled_out(first)
    groups = [[span + name for name in plain] if span.endswith("_") else spelled_out(span) for span in spans]
    return [*plain, *(name for group in groups for name in group)]


def spelled_out(span):
    name, *numbers = span.split()
    return [name, *(name.rstrip("0123456789") + number for number in numbers)]


def test_the_page_lists_every_network():
    assert listed_in_the_page() == list(NETWORKS)


def test_the_help_of_width_is_the_registry_s():
    widths = re.findall(r"(?:(\w+) )?(\d+)", options()["width"].help.partition("unset: ")[2])
    assert {name: int(width) for name, width in widths if name} == {
        name: entry.default_width for name, entry in NETWORKS.items() if entry.default_width != int(widths[0][1])
    }


OWN_FAMILY = """
import dataclasses
from tf_tickets.models import description
from tf_tickets.models.description import Kernel, Network

@dataclasses.dataclass(frozen=True)
class Patches(Network):
    features = property(lambda self: self.width)

    def body(self):
        return [Kernel("patches", (4, 4, self.image_shape[2], self.width), True, bias=True)]

    def other_parameters(self):
        return 2 * self.width

    def build(self, images, builder):
        x = builder.convolve(images, self.body()[0], 4, padding=0)
        return builder.pooled(builder.relu(builder.normalise(x, "norm"), "relu"))

    def stages(self):
        return [], ["relu"]

@description.register("patches", default_width=3, normalises=True, runtime=True)
def describe(**common):
    return Patches(**common)
"""


@pytest.fixture
def own_family(monkeypatch):
    """A family in a module of the user's own, registered until the test ends."""
    monkeypatch.setattr(NETWORKS, "_parts", dict(NETWORKS))
    exec(compile(OWN_FAMILY, "patches.py", "exec"), {"__name__": "patches"})


def test_a_family_of_ones_own_is_one_module(own_family, tmp_path):
    with pytest.raises(UsageError, match="did you mean patches?"):
        tt.Config.from_values(model="patchs")
    changes = {"model": "patches", "width": None, "epochs": 2, "rounds": 2, "images": 40, "tensorboard": False}
    config = tt.Config.from_values(**QUICK | changes, out=str(tmp_path))
    assert config.settled()["width"] == 3
    ticket = tt.Ticket.load(tt.imp(config).best.folder)
    assert ticket.density == pytest.approx(38 / 48) and list(ticket.masks) == ["patches"]
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), dtype=np.uint8)
    ticket.save(str(tmp_path / "ticket"))
    found = runtime.load(str(tmp_path / "ticket")).predict(images)
    np.testing.assert_allclose(found, ticket.predict(images), atol=1e-6)


def test_an_unknown_family_or_half_a_one_is_an_error():
    with pytest.raises(UsageError, match="--model=resnet20 is not one of resnet18, .*, vit_small"):
        architecture.describe("resnet20", classes=10, image_shape=(8, 8, 1))
    half = type("Half", (description.Network,), {"body": lambda self: []})
    with pytest.raises(TypeError, match="abstract"):
        half("half", "small", (8, 8, 1), 1, 10, "linear", 16.0)
    for name in ("resnet18", "Resnet", "two words", "a/b"):
        with pytest.raises(ValueError, match=name):
            description.register(name, default_width=1, normalises=False)(half)
