"""Backbones from files: PyTorch's names in, the head as drawn, every misfit said in one line."""

import warnings

import numpy as np
import pytest
from conftest import SETTINGS
from safetensors.numpy import save_file
from test_parity import formula_weights, torch_state

import tf_tickets as tt
from tf_tickets import runs, storage
from tf_tickets.errors import UsageError
from tf_tickets.models import pretrained, state
from tf_tickets.report import tables

TORCHVISION = (("pre_conv.0.", "conv1."), ("pre_conv.1.", "bn1."), (".shortcut.", ".downsample."), ("linear.", "fc."))


def torchvision_name(name):
    for ours, theirs in TORCHVISION:
        name = name.replace(ours, theirs)
    return name


def arrays_of(seed=9, classes=7, channels=1):
    """Another network's state under torchvision's names."""
    model = tt.models.build("resnet18", classes=classes, image_shape=(8, 8, channels), width=2, seed=seed)
    mine = state.get_state(model)
    return {torchvision_name(name): np.ascontiguousarray(array) for name, array in torch_state(mine).items()}, mine


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_a_run_starts_every_round_from_the_backbone(suffix, tmp_path, capfd):
    arrays, expected = arrays_of()
    path = str(tmp_path / f"backbone{suffix}")
    save_file(arrays, path) if suffix == ".safetensors" else np.savez(path, **arrays)
    still = {"learning_rate": 1e-20, "weight_decay": 0.0, "tensorboard": False, "rounds": 2, "epochs": 2}
    config = tt.Config.from_values(
        **SETTINGS | still | {"pretrained": path, "rewind": "pretrained"}, out=str(tmp_path / "runs")
    )
    folder = runs.RunFolder(tt.imp(config).folder)
    assert "random weights: the head's; not used of the file: nothing" in capfd.readouterr().err
    (told,) = tables.collect([folder.folder])[0]["pretrained"].unique()
    assert told == f"backbone{suffix} sha256:{storage.file_digest(path)}"
    fresh = tt.models.build("resnet18", classes=10, image_shape=(8, 8, 1), width=2)
    for index in (0, 1):
        weights, mask = (storage.read_arrays(p) for p in (folder.round(index).weights, folder.round(index).mask))
        for name in mask:
            kernel = f"{name}/kernel"
            np.testing.assert_array_equal(weights[kernel], np.where(mask[name], expected[kernel], 0))
        np.testing.assert_array_equal(weights["linear/kernel"], fresh.get_layer("linear").kernel)
        assert len(storage.read_csv(folder.round(index).epochs)) == 2


def test_another_stem_stays_as_drawn_and_is_named():
    arrays, _ = arrays_of(channels=3)
    model = tt.models.build("resnet18", classes=10, image_shape=(8, 8, 1), width=2)
    before = state.get_state(model)
    note = pretrained.load(model, arrays)
    assert "the head's, pre_conv.0.weight" in note
    np.testing.assert_array_equal(state.get_state(model)["pre_conv.0/kernel"], before["pre_conv.0/kernel"])


def test_files_of_equal_content_are_one_run(tmp_path):
    arrays, _ = arrays_of()
    folders = []
    for name in ("a.npz", "b.npz"):
        path = str(tmp_path / name)
        np.savez(path, **arrays)
        config = tt.Config.from_values(**SETTINGS, pretrained=path, out=str(tmp_path))
        folders.append(runs.RunFolder.of(config).folder)
    np.savez(path, **{**arrays, "fc.bias": arrays["fc.bias"] + 1})
    assert folders[0] == folders[1] != runs.RunFolder.of(config).folder


def test_misfits_and_damage_are_said_in_one_line(tmp_path):
    arrays, _ = arrays_of()
    model = tt.models.build("resnet18", classes=10, image_shape=(8, 8, 1), width=2)
    wider = tt.models.build("resnet18", classes=10, image_shape=(8, 8, 1), width=3)
    del arrays["layer1.0.conv1.weight"]
    with pytest.raises(UsageError, match=r"holds no layer1.0.conv1.weight and 0 more"):
        pretrained.load(model, arrays)
    with pytest.raises(UsageError, match=r"has shape .* the network wants"):
        pretrained.load(wider, arrays_of()[0])
    for name, text in (("a.npz", b"no archive"), ("b.safetensors", b"\x00" * 20), ("c.onnx", b"")):
        path = tmp_path / name
        path.write_bytes(text)
        with pytest.raises(UsageError, match=f"--pretrained=.*{name}") as caught:
            pretrained.read(str(path))
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="needs --pretrained"):
        tt.Config.from_values(**SETTINGS | {"rewind": "pretrained"})


def test_torchvision_s_names_give_pytorch_s_logits(fixture_json, fixture_arrays, tmp_path):
    facts, fixture = fixture_json("networks.json"), fixture_arrays("networks.npz")
    model = tt.models.build("resnet18", classes=10, image_shape=(32, 32, 3), width=12)
    arrays = torch_state(state.get_state(model)) | {"linear.bias": np.zeros(10, np.float32)}
    arrays |= formula_weights(facts["networks"]["resnet18_small_w12"]["order"], facts["seed"])
    named = {torchvision_name(name): np.ascontiguousarray(array) for name, array in arrays.items()}
    assert "layer2.0.downsample.0.weight" in named and "fc.weight" in named and "conv1.weight" in named
    save_file(named, tmp_path / "a.safetensors")
    assert tt.models.load_state(model, pretrained.read(str(tmp_path / "a.safetensors"))) == ([], [])
    found = model(fixture["x"].transpose(0, 2, 3, 1), training=True).numpy()
    expected = fixture["resnet18_small_w12/logits_train"]
    assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("resnet18", 2),
        ("harmonic_resnet18", 2),
        ("wide_resnet16", 2),
        ("mobilenet_v2", 8),
        ("efficientnet_lite0", 8),
        ("vit_small", 64),
    ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_networks_that_keras_saved_are_read(name, width, whole, tmp_path):
    known = {"image_shape": (8, 8, 1), "width": width}
    saved = tt.models.build(name, classes=7, **known, seed=1)
    path = str(tmp_path / "network.h5")
    if whole:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras' own, of the format's age
            saved.save(path)
    else:
        saved.save_weights(path)
    model = tt.models.build(name, classes=10, **known, seed=2)
    before, expected = state.get_state(model), state.get_state(saved)
    note = pretrained.load(model, pretrained.read(path))
    assert "random weights: the head's; not used of the file: nothing" in note
    for key, array in state.get_state(model).items():
        np.testing.assert_array_equal(array, (before if key.startswith("linear/") else expected)[key])


def test_other_h5_files_are_refused(tmp_path):
    model = tt.models.build("vgg11", classes=10, image_shape=(8, 8, 1), width=2)
    model.save_weights(str(tmp_path / "new.weights.h5"))
    (tmp_path / "odd.h5").write_bytes(b"odd")
    for name in ("new.weights.h5", "odd.h5"):
        with pytest.raises(UsageError, match=f"{name} cannot be read"):
            pretrained.read(str(tmp_path / name))
