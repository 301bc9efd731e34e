"""Pictures of other sizes than the network's: every form of a ticket answers what `predict` does, or refuses them."""

import dataclasses
import pathlib

import numpy as np
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument
from PIL import Image

import tf_tickets as tt
from tf_tickets import runtime
from tf_tickets.backend import tf
from tf_tickets.data import unlabelled
from tf_tickets.errors import UsageError
from tf_tickets.export import onnx_file, runtime_file, tflite, writer
from tf_tickets.export.ticket import Ticket, data_of, ids_digest, settings_of
from tf_tickets.models import architecture, builder, state
from tf_tickets.pruning.masks import masked_state
from tf_tickets.registry import DATASETS

SIDE = 32
RNG = np.random.default_rng(5)
CHANGES = {
    "image_shape": (SIDE, SIDE, 3), "labels": ("cat", "dog"), "mean": (0.5, 0.4, 0.3), "deviation": (0.2, 0.2, 0.3),
}  # fmt: skip


def drawn(name, model="vgg11", **changes):
    """A Ticket of a network that was not trained, of small pictures or, as `isic2018`, of photographs."""

    facts = dataclasses.replace(DATASETS[name].facts, **CHANGES | changes)
    network = {"name": model, "classes": 2, "image_shape": facts.image_shape, "stem": "small", "head": "linear"}
    network |= {"kappa": 16.0, "width": 2}
    kept = state.get_state(builder.build(**network, seed=1))
    # Weights large enough that another picture is another answer.
    kept = {key: array * 4 if key == "linear/kernel" else array for key, array in kept.items()}
    described = architecture.describe(**{"model" if key == "name" else key: value for key, value in network.items()})
    masks = {kernel.name: RNG.random(kernel.shape) < 0.7 for kernel in described.prunable()}
    kept, config = masked_state(kept, masks), tt.Config.from_values(dataset=name, model=model)
    return Ticket(
        masks,
        kept,
        kept,
        network,
        data=data_of(facts),
        settings=settings_of(config),
        ids_digest=ids_digest([]),
        round=0,
    )


@pytest.fixture(scope="module", params=["isic2018", "cifar10"])
def saved(request, tmp_path_factory):
    """(Ticket, its folder): of photographs, and of small pictures."""
    ticket = drawn(request.param)
    return ticket, pathlib.Path(ticket.save(str(tmp_path_factory.mktemp("saved") / "ticket")))


_LOADED = {}


def loaded(folder):
    """Signatures of a SavedModel, loaded once."""
    if folder not in _LOADED:
        _LOADED[folder] = tf.saved_model.load(str(folder)).signatures
    return _LOADED[folder]


def refused(serve, name, images):
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        serve[name](images=tf.constant(images))
    return str(caught.value)


def test_another_size_is_refused_by_every_form(saved, tmp_path):
    ticket, folder = saved
    serve, own = loaded(folder), RNG.integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)
    np.testing.assert_allclose(serve["serving_default"](images=own)["probabilities"], ticket.predict(own), atol=1e-6)
    network = runtime.load(str(folder))
    for shape in ((2, SIDE + 1, SIDE, 3), (1, 2 * SIDE, 2 * SIDE, 3), (1, SIDE - 8, SIDE, 3)):
        images = RNG.integers(0, 256, shape, np.uint8)
        for name, given in (("serving_default", images), ("features", images), ("float", np.float32(images / 255))):
            assert f"[{','.join(map(str, shape))}] is not compatible" in refused(serve, name, given)
        with pytest.raises(UsageError, match="this ticket takes uint8"):
            ticket.predict(images)
        with pytest.raises(ValueError, match="this ticket takes uint8"):
            network.predict(images)
    data = tflite.convert(tflite.function(ticket), "tflite", None)
    np.testing.assert_allclose(tflite.predictor(data, 1)(own), ticket.predict(own), atol=1e-5)
    for shape in ((1, SIDE, 2 * SIDE, 3), (1, SIDE + 1, SIDE, 3), (1, 2 * SIDE, 2 * SIDE, 3)):
        with pytest.raises(RuntimeError, match="failed to prepare"):
            tflite.predictor(data, 1)(RNG.integers(0, 256, shape, np.uint8))
    predict = onnx_file.predictor(onnx_file.convert(ticket), 1)
    np.testing.assert_allclose(predict(own), ticket.predict(own), atol=1e-5)
    with pytest.raises(InvalidArgument, match="Got invalid dimensions for input: images"):
        predict(own[:, :-1])
    runtime_file.write(ticket, writer.facts(ticket, {}, None), str(tmp_path / "runtime.npz"))
    with pytest.raises(ValueError, match="this ticket takes uint8"):
        runtime.load(str(tmp_path / "runtime.npz")).predict(own[:, :-1])


@pytest.mark.parametrize("saved", ["isic2018"], indirect=True)
@pytest.mark.parametrize(("size", "suffix"), [
    ((SIDE, SIDE), ".png"), ((37, 37), ".jpg"), ((36, 90), ".png"), ((512, 600), ".jpg"), ((5, 400), ".png"),
    ((1000, 512), ".png"), ((3, 2), ".png"),
])  # fmt: skip
def test_photographs_of_any_size_are_cropped_inside_as_predict_does(saved, tmp_path, size, suffix):
    ticket, folder = saved
    serve = loaded(folder)
    path = tmp_path / f"picture{suffix}"
    waves = np.sin(np.arange(size[0])[:, None, None] / 9 + np.arange(size[1])[None, :, None] / 5 + np.arange(3))
    noise = RNG.integers(-40, 40, (*size, 3))
    Image.fromarray(np.clip(128 + 80 * waves + noise, 0, 255).astype(np.uint8)).save(path)
    pixels = tf.io.decode_image(path.read_bytes(), channels=3, expand_animations=False)
    answer = serve["pictures"](images=pixels[tf.newaxis])
    expected = unlabelled.pixels(str(path), ticket.data)
    # The same pixels reach the network, so that not one bit of its answer differs.
    wanted = serve["serving_default"](images=tf.constant(expected[np.newaxis]))
    for name in ("logits", "probabilities", "class", "label"):
        np.testing.assert_array_equal(answer[name], wanted[name])
    np.testing.assert_allclose(answer["probabilities"], ticket.predict(expected[np.newaxis]), atol=1e-6)


@pytest.mark.parametrize("saved", ["isic2018"], indirect=True)
def test_larger_photographs_are_refused_where_pixels_cannot_become_what_predict_sees(saved):
    said = refused(loaded(saved[1]), "pictures", np.zeros((1, 513, 600, 3), np.uint8))
    assert "the shorter side of the pictures is over 512: shrink them to that first" in said


def test_small_pictures_are_not_cropped_inside(saved):
    ticket, folder = saved
    assert ("pictures" in loaded(folder)) == ticket.data["any_size"] == (ticket.data["dataset"] == "isic2018")


def test_the_card_says_who_does_the_preprocessing(saved):
    ticket, folder = saved
    text = (folder / "MODEL_CARD.md").read_text()
    assert "Inside of every format: normalisation." in text and "take images of 32 x 32 x 3 and refuse other" in text
    crops = "just covers 37 x 37, then the middle 32 x 32", 'signatures["pictures"]', "at most 512 pixels"
    assert [words in text for words in crops] == [bool(ticket.data["any_size"])] * 3
    assert ("until 32 x 32 is covered" in text) != ticket.data["any_size"]
