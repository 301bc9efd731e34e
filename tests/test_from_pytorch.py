"""Tickets of PyTorch's pruning: weight_orig and weight_mask, from safetensors or npz."""

import numpy as np
import pytest
from conftest import QUICK
from safetensors.numpy import save_file

import tf_tickets as tt
from tf_tickets.errors import UsageError
from tf_tickets.export import verify
from tf_tickets.models import architecture, state

NETWORKS = {
    "resnet18": {"width": 4}, "harmonic_resnet18": {"width": 4}, "mobilenet_v2": {"width": 8}, "vgg11": {"width": 2},
    "wide_resnet16": {"width": 4}, "efficientnet_lite0": {"width": 8},
}  # fmt: skip


def pruned(model_name, seed, **network):
    """A network as torch.nn.utils.prune saves it: (Config, arrays by PyTorch's names, masks and state as Keras)."""
    config = tt.Config.from_values(**QUICK | {"model": model_name} | network)
    model = tt.models.build(model_name, classes=10, image_shape=(8, 8, 1), seed=seed, **network)
    described = architecture.describe(model_name, classes=10, image_shape=(8, 8, 1), **network)
    keras_state, generator = state.get_state(model), np.random.default_rng(seed)
    arrays, masks = state.torch_state(model), {}
    for kernel in described.prunable("all"):
        name = f"{kernel.name}.weight"
        original = arrays.pop(name)
        mask = generator.random(original.shape) < 0.3
        arrays[f"{name}_orig"], arrays[f"{name}_mask"] = original, mask.astype(np.float32)
        masks[kernel.name] = state._to_keras(mask, kernel.shape)
    return config, arrays, masks, keras_state


@pytest.mark.parametrize("name", NETWORKS)
def test_masks_and_weights_arrive_in_keras_layout(name, tmp_path):
    config, arrays, masks, expected = pruned(name, 3, **NETWORKS[name])
    path = str(tmp_path / "pruned.safetensors")
    save_file({key: np.ascontiguousarray(array) for key, array in arrays.items()}, path)
    ticket = tt.Ticket.from_pytorch(path, config)
    assert list(ticket.masks) == list(masks)
    for layer, mask in masks.items():
        np.testing.assert_array_equal(ticket.masks[layer], mask)
        np.testing.assert_array_equal(ticket.trained[f"{layer}/kernel"], expected[f"{layer}/kernel"] * mask)
    others = set(expected) - {f"{layer}/kernel" for layer in masks}
    for key in others:
        np.testing.assert_array_equal(ticket.trained[key], expected[key])
    assert ticket.rewound.keys() == ticket.trained.keys()


def test_saved_it_verifies_and_is_retrained_from_the_rewind_point(tmp_path):
    config, arrays, masks, _ = pruned("vgg11", 3, width=2)
    _, start, _, rewound = pruned("vgg11", 4, width=2)
    np.savez(tmp_path / "pruned.npz", **arrays)
    np.savez(tmp_path / "start.npz", **{k.replace("_orig", ""): v for k, v in start.items() if "_mask" not in k})
    ticket = tt.Ticket.from_pytorch(str(tmp_path / "pruned.npz"), config, str(tmp_path / "start.npz"))
    folder = ticket.save(str(tmp_path / "ticket"))
    verify.verify(folder)
    assert tt.Ticket.load(folder).content_digest == ticket.content_digest
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), np.uint8)
    np.testing.assert_array_equal(tt.Ticket.load(folder).predict(images), ticket.predict(images))
    still = {"learning_rate": 1e-20, "weight_decay": 0.0, "tensorboard": False, "out": str(tmp_path / "runs")}
    result = tt.train(tt.Config.from_values(**QUICK | still | {"ticket": folder}))
    with np.load(f"{result.best.folder}/weights.npz") as weights:
        for layer, mask in masks.items():
            np.testing.assert_array_equal(weights[f"{layer}/kernel"], rewound[f"{layer}/kernel"] * mask)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    config, arrays, _, _ = pruned("vgg11", 3, width=2)
    np.savez(tmp_path / "pruned.npz", **arrays)
    (tmp_path / "photos").mkdir()
    with pytest.raises(UsageError, match="photos is there and is no ticket"):
        tt.Ticket.from_pytorch(str(tmp_path / "pruned.npz"), config).save(str(tmp_path / "photos"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: {k: v for k, v in a.items() if "_mask" not in k}, r"holds no \*.weight_mask"),
        (lambda a: a | {"features.0.weight_mask": a["features.0.weight_mask"] * 0.5}, "other values than 0 and 1"),
        (lambda a: {k: v for k, v in a.items() if k != "features.0.bias"}, "missing .*features.0.bias"),
        (lambda a: a | {"features.4.weight_orig": np.zeros((3, 3), np.float32)}, r"features.4"),
        (lambda a: a | {"features.99.weight_mask": np.ones((3, 3), np.float32)}, r"features.99.weight_mask fits no"),
    ],
)
def test_unfit_files_are_refused_by_name(change, message, tmp_path):
    config, arrays, _, _ = pruned("vgg11", 3, width=2)
    np.savez(tmp_path / "odd.npz", **change(arrays))
    with pytest.raises(UsageError, match=message):
        tt.Ticket.from_pytorch(str(tmp_path / "odd.npz"), config)
