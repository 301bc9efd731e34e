"""SimCLR: the loss, the two views, and a backbone that training takes up."""

import os

import numpy as np
import own_arrays
import pandas
import pytest
import stops
from conftest import TWO_LAYERS
from PIL import Image
from safetensors.numpy import load_file

import tf_tickets as tt
from tf_tickets import backend, runs, storage
from tf_tickets.backend import tf
from tf_tickets.data import pipeline
from tf_tickets.errors import UsageError
from tf_tickets.registry import DATASETS
from tf_tickets.training import checkpoints, contrastive

VALUES = {name: value for name, value in TWO_LAYERS.items() if name not in ("validation", "rounds", "rewind")}
# For where images come from: SimCLR's own augmentation takes most of the time of such a run.
GIVEN = {name: value for name, value in own_arrays.SMALL.items() if name != "rounds"} | {"augment": "flip"}


class Table:
    """Stands for a network: looks its outputs up by the image's only pixel."""

    def __init__(self, outputs):
        self.outputs = outputs

    def __call__(self, images, training):
        assert training
        return tf.gather(self.outputs, tf.cast(images[:, 0, 0, 0], tf.int32))


def test_the_loss_is_simclr_s():
    outputs = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)
    indices = np.arange(10, dtype=np.float32).reshape(2, 5, 1, 1, 1)
    loss, correct = contrastive.simclr(0.3)(Table(outputs), *map(tf.constant, indices))
    unit = (outputs / np.linalg.norm(outputs, axis=1, keepdims=True)).astype(np.float64)
    logits = unit @ unit.T / 0.3
    np.fill_diagonal(logits, -np.inf)
    logarithm = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    expected = [-(logarithm[i, i + 5] + logarithm[i + 5, i]) / 2 for i in range(5)]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_array_equal(correct, logits[:5].argmax(axis=1) == np.arange(5) + 5)


def test_pairs_that_agree_are_all_found():
    outputs = np.tile(np.eye(6, dtype=np.float32), (2, 1))
    indices = np.arange(12, dtype=np.float32).reshape(2, 6, 1, 1, 1)
    loss, correct = contrastive.simclr(0.1)(Table(outputs), *map(tf.constant, indices))
    assert correct.numpy().tolist() == [1.0] * 6 and loss.numpy().max() < 1e-3


def test_views_are_drawn_apart_and_by_image_alone():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), np.uint8)
    load = pipeline.two_views(DATASETS["digits"].facts, tt.augment.augmenter("simclr"))
    keys = tf.constant(tt.augment.keys(1, 0, 0, np.arange(6)))
    labels = tf.zeros([6], tf.int64)
    first, second = load(tf.constant(pixels), labels, pipeline.Draws(keys, None, None))
    assert all((a != b).any() for a, b in zip(first.numpy(), second.numpy()))
    part = load(tf.constant(pixels[3:]), labels[3:], pipeline.Draws(keys[3:], None, None))
    np.testing.assert_array_equal(part[0], first[3:])
    np.testing.assert_array_equal(part[1], second[3:])
    spread = (keys.numpy() * 0x2545F4914F6CDD1D).astype(np.int64)
    assert len({*keys.numpy().tolist(), *spread.tolist()}) == 12


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A finished run, equal to one that was stopped again and again."""
    out = tmp_path_factory.mktemp("runs")
    config = tt.Config.from_values(**VALUES, out=str(out / "whole"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "_WRITING_SHARE", 1e9)
        assert stops.assert_stopping_changes_nothing(tt.pretrain, config, out / "parts", (1, 2, 40)) == 2
    results = [tt.pretrain(config.replace(out=str(out / name))) for name in ("whole", "parts")]
    with open(results[0].backbone, "rb") as whole, open(results[1].backbone, "rb") as parts:
        assert whole.read() == parts.read()
    return config, results[0]


def test_every_epoch_has_a_loss_and_the_evaluated_ones_a_vote(pretrained):
    config, result = pretrained
    assert [row["epoch"] for row in result.rows] == list("12345")
    assert [bool(row["neighbour_accuracy"]) for row in result.rows] == [False, True, False, True, True]
    assert all(np.isfinite(float(row["train_loss"])) for row in result.rows)
    again = os.stat(result.backbone).st_mtime_ns
    assert tt.pretrain(config).backbone == result.backbone and os.stat(result.backbone).st_mtime_ns == again


def test_the_backbone_has_pytorch_s_names_and_no_head(pretrained):
    arrays = load_file(pretrained[1].backbone)
    model = tt.models.build(TWO_LAYERS["model"], classes=10, image_shape=(8, 8, 1), width=2)
    missing, left_over = tt.models.load_state(model, arrays, strict=False)
    assert set(missing) == {"linear.weight", "linear.bias"} and not left_over


def test_rounds_start_from_it_and_rewind_to_it(pretrained, tmp_path):
    values = TWO_LAYERS | {
        "pretrained": pretrained[1].backbone, "rewind": "pretrained", "learning_rate": 1e-20, "weight_decay": 0.0,
        "rounds": 2, "tensorboard": False, "out": str(tmp_path),
    }  # fmt: skip
    folder = runs.RunFolder(tt.imp(tt.Config.from_values(**values)).folder)
    arrays = load_file(pretrained[1].backbone)
    mask, weights = (storage.read_arrays(path) for path in (folder.round(1).mask, folder.round(1).weights))
    for name, part in mask.items():
        expected = arrays[f"{name}.weight"].transpose(2, 3, 1, 0)
        np.testing.assert_array_equal(weights[f"{name}/kernel"], np.where(part, expected, 0))


def test_labels_serve_the_monitor_alone(pretrained, monkeypatch, tmp_path):
    config, result = pretrained
    original = pipeline.two_views
    monkeypatch.setattr(
        pipeline, "two_views",
        lambda data_set, augmenter: lambda pixels, labels, draws: original(data_set, augmenter)(
            pixels, tf.zeros_like(labels), draws
        ),
    )  # fmt: skip
    blind = tt.pretrain(config.replace(out=str(tmp_path)))
    np.testing.assert_equal(load_file(blind.backbone), load_file(result.backbone))


def test_images_given_from_python_are_those_of_a_file(tmp_path):
    arrays = own_arrays.given()
    arrays.save(tmp_path / "x.npz")
    pairs = tf.data.Dataset.from_tensor_slices((own_arrays.X, own_arrays.Y)).batch(7)
    tested = tf.data.Dataset.from_tensor_slices(own_arrays.TEST)
    dataset = tt.data.from_dataset(pairs, test=tested, class_names=own_arrays.CLASSES)
    results = [
        tt.pretrain(tt.Config(**GIVEN, out=str(tmp_path / "arrays")), data=arrays),
        tt.pretrain(tt.Config(**GIVEN, out=str(tmp_path / "dataset")), data=dataset),
        tt.pretrain(tt.Config(**GIVEN, out=str(tmp_path / "f"), dataset="arrays", data_file=str(tmp_path / "x.npz"))),
    ]
    assert len({os.path.basename(os.path.dirname(result.folder)) for result in results}) == 1
    assert len({storage.file_digest(result.backbone) for result in results}) == 1
    start = tt.Config(**own_arrays.SMALL | {"rounds": 1}, pretrained=results[0].backbone, out=str(tmp_path / "arrays"))
    assert tt.train(start, data=arrays).table["test_accuracy"].between(0, 1).all()


def test_pictures_of_a_frame_are_pretrained_on_and_odd_data_are_refused(tmp_path):
    (tmp_path / "pictures").mkdir()
    for number, pixels in enumerate(own_arrays.X):
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{number}.png")
    frame = pandas.DataFrame({"file": [f"{number}.png" for number in range(20)], "label": ["cat", "dog"] * 10})
    config = tt.Config(**GIVEN, out=str(tmp_path / "runs"))
    result = tt.pretrain(config, data=tt.data.from_dataframe(frame, root=tmp_path / "pictures"))
    assert len(result.rows) == 2 and os.path.exists(result.backbone)
    with pytest.raises(UsageError, match="data: ndarray is no data; give tt.data.from_arrays"):
        tt.pretrain(config, data=own_arrays.X)  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="data= and dataset=digits exclude each other"):
        tt.pretrain(config.replace(dataset="digits"), data=own_arrays.given())
    with pytest.raises(UsageError, match="dict is no Config"):
        tt.pretrain({})  # pyright: ignore[reportArgumentType]


def test_the_projection_is_drawn_by_the_seed():
    from tf_tickets.models import projection

    backend.start(tt.Config.from_values().run)
    models = [
        projection.add(tt.models.build(TWO_LAYERS["model"], classes=10, image_shape=(8, 8, 1), width=2), seed)
        for seed in (0, 0, 1)
    ]
    first, same, other = (model.get_layer("projection.2").kernel.numpy() for model in models)
    assert first.shape == (16, 128) and np.abs(first).max() <= 0.25
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


@pytest.mark.parametrize("change", [
    {"adversarial": True}, {"pretrained": "x.npz"}, {"validation": "0.2"}, {"head": "cosine"},
])  # fmt: skip
def test_what_needs_labels_is_refused(change, tmp_path):
    with pytest.raises(UsageError, match=f"--{next(iter(change))} belongs to imp and train, not pretrain"):
        tt.pretrain(tt.Config.from_values(**VALUES | change, out=str(tmp_path)))
    assert not os.listdir(tmp_path)
