"""Networks: descriptions without TensorFlow, their Keras builders, and their state as named arrays."""

import typing

if typing.TYPE_CHECKING:
    from tf_tickets.backend import keras


def build(
    name: str,
    *,
    classes: int,
    image_shape: tuple[int, int, int],
    stem: str = "small",
    width: int | None = None,
    head: str = "linear",
    kappa: float = 16.0,
    seed: int = 0,
    precision: str = "float32",
    image_size: int | None = None,
    architecture: dict | None = None,
) -> "keras.Model":
    """Builds a functional Keras network with logits out; see `builder.build`."""
    from tf_tickets.models import builder

    return builder.build(
        name, classes=classes, image_shape=image_shape, stem=stem, width=width, head=head, kappa=kappa, seed=seed,
        precision=precision, image_size=image_size, architecture=architecture,
    )  # fmt: skip


def load_state(model: "keras.Model", arrays: dict, strict: bool = True) -> tuple[list[str], list[str]]:
    """Loads PyTorch-named arrays in torch's layout; see `state.load_state`."""
    from tf_tickets.models import state

    return state.load_state(model, arrays, strict)


def register_layer(cls: type | None = None, *, kernel: str | None = None) -> typing.Any:
    """Lets networks of one's own have layers of a class of one's own; see `own_layers.register_layer`."""
    from tf_tickets.models import own_layers

    return own_layers.register_layer(cls, kernel=kernel)
