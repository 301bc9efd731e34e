"""Networks: descriptions without TensorFlow, their Keras builders, and their state as named arrays."""


def build(
    name, *, classes, image_shape, stem="small", width=None, head="linear", kappa=16.0, seed=0, precision="float32"
):
    """Builds a functional Keras network with logits out; see `builder.build`."""
    from tf_tickets.models import builder

    return builder.build(
        name, classes=classes, image_shape=image_shape, stem=stem, width=width, head=head, kappa=kappa, seed=seed,
        precision=precision,
    )  # fmt: skip


def load_state(model, arrays, strict=True):
    """Loads PyTorch-named arrays in torch's layout; see `state.load_state`."""
    from tf_tickets.models import state

    return state.load_state(model, arrays, strict)
