"""A Keras model of the user's own, or a function that gives one, as a network of the program: own:HASH.

What is kept is its architecture. Weights count where they were loaded or trained: those of a model that is given as it
is, and those that a function gives alike each time that it is called; all others are drawn by the program.
"""

import hashlib
import inspect
import typing

import numpy as np

from tf_tickets import own_networks, plugins
from tf_tickets.backend import keras, tf
from tf_tickets.errors import UsageError
from tf_tickets.models import flattening, functional, keras3, keras_facts, keras_files, keras_graph
from tf_tickets.models.description import Kernel
from tf_tickets.models.flattening import Flattened

# Operations on the images themselves by which networks scale pixels.
_SCALING = ("truediv", "divide", "multiply", "subtract")
_RAW = ("CenterCrop", "Concatenate", "Cropping2D", "Resizing", "UpSampling2D", "ZeroPadding2D")


def named(
    given: own_networks.Function | keras.Model, *, classes: int, image_shape: tuple[int, int, int], place: str
) -> str:  # fmt: skip
    """Keeps the architecture of a model, or of what a function gives; returns its name, own:HASH.

    Args:
      given: a functional model of tf_keras or of Keras 3, or a function that gives one.
      classes: the number of outputs that it must have.
      image_shape: (height, width, channels) of the images that it gets.
      place: what the classes and images are of, for messages.

    Raises:
      UsageError: a network that the program cannot prune; names the layer and what to write instead.
    """
    is_function = isinstance(given, own_networks.Function)
    said = given.said if is_function else f"model={given.name}"
    try:
        models = (_built_by(given, classes, image_shape) for _ in range(2)) if is_function else [given]
        flats = [_flattened(model, classes, image_shape, place) for model in models]
        flat, records = flats[0], flats[0].records
        source = functional.built(records[:-1], image_shape)
        arrays = [_arrays(each, source) for each in flats]
        weights = arrays[0] if len(arrays) == 1 else _determined(*arrays)
        document = _document(records, source, flat, image_shape, classes) | {"weights": _digest(weights)}
    except UsageError as error:
        raise UsageError(f"{said}: {error}") from None
    name = own_networks.keep(document)
    own_networks.WEIGHTS[name] = weights
    if is_function and given.source is not None:
        own_networks.ORIGINS[name] = {"function": said, "source": given.source}
    return name


def _built_by(function, classes, image_shape):
    """What a function gives, called with the arguments that it has of `classes` and `image_shape`."""
    known = {"classes": classes, "image_shape": image_shape}
    try:
        parameters = inspect.signature(function.call).parameters.values()
    except (TypeError, ValueError):
        parameters = ()
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    wanted = [p.name for p in parameters if p.default is p.empty and p.kind not in kinds and p.name not in known]
    if wanted:
        raise UsageError(f"its parameter {wanted[0]} has no default: a function may take classes and image_shape")
    takes = [p.name for p in parameters if p.name in known]
    return plugins.called(function.call, {name: known[name] for name in takes})


def _flattened(model, classes, image_shape, place):
    model = keras3.as_tf_keras(model)
    if not isinstance(model, keras.Model):
        raise UsageError(f"gives {type(model).__name__}, no Keras model: return keras.Model(inputs, outputs)")
    flattening.check_functional(model, f"the model {model.name}")
    for word, tensors in (("inputs", model.inputs), ("outputs", model.outputs)):
        if len(tensors) != 1:
            raise UsageError(f"the model {model.name} has {len(tensors)} {word}: use one")
    wanted = tuple(model.input.shape[1:])
    if len(wanted) != 3 or any(side not in (None, given) for side, given in zip(wanted, image_shape)):
        raise UsageError(_of_other_size(wanted, image_shape, place))
    flat = Flattened(model)
    if not flat.records:
        raise UsageError(f"the model {model.name} has no layers")
    flattening.check_logits(flat, classes)
    return flat


def _of_other_size(wanted, image_shape, place):
    sides = "x".join("any" if side is None else str(side) for side in wanted)
    text = f"takes inputs of {sides}, and images of {place} are {'x'.join(map(str, image_shape))}: "
    square = len(wanted) == 3 and wanted[2] in (None, image_shape[2]) and wanted[0] == wanted[1]
    if square and wanted[0] is not None and wanted[0] > min(image_shape[:2]):
        return text + f"add --image_size={wanted[0]}"
    return text + f"write keras.Input({image_shape}), or let the function take image_shape"


def _arrays(flat, source):
    """The weights of the body in the order of a file, and those of the head."""
    for record, layer in zip(flat.records[:-1], flat.sources):
        if not isinstance(layer, keras.layers.Normalization):  # whose mean and variance are settings
            source.get_layer(record["name"]).set_weights(layer.get_weights())
    return [weight.numpy() for weight in keras_files.in_file_order(source)] + flat.sources[-1].get_weights()


def _determined(first, second):
    """Of two calls of a function the arrays that are the same; None unless one of them would be drawn."""
    same = [a if np.array_equal(a, b) else None for a, b in zip(first, second)]
    drawn = [array for array in same if array is not None and array.ndim > 1 and np.ptp(array) > 0]
    return same if drawn else None


def _digest(arrays):
    if arrays is None:
        return None
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(b"drawn" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _document(records, source, flat, image_shape, classes):
    from tf_tickets.models import builder

    images = keras.Input(tuple(image_shape))
    policy = keras.mixed_precision.Policy("float32")
    graph = keras_graph.Graph(source, images, builder.Builder(policy), "")
    if not graph.kernels:
        raise UsageError("it has no layer that can be pruned: its convolutions, and dense layers but the last, are")
    last = flat.sources[-1]
    start = keras_graph.scaling(last.kernel_initializer)
    shape = (int(graph.features.shape[-1]), classes)
    head = Kernel("linear", shape, False, "dense", start, bool(last.use_bias))
    facts = keras_facts.record(images, graph.features, [*graph.kernels, head])
    return {"image_shape": list(image_shape), "pixels": _sees_pixels(records), "layers": records, **facts}


def _sees_pixels(records):
    """Whether the network itself scales pixels from 0 to 255, as Keras' networks that begin with a Rescaling."""
    raw = {functional.IMAGES}
    for record in records:
        seen = _tensors(record["args"])
        if not seen or not seen <= raw:
            continue
        operation = record["config"].get("function", "").rpartition(".")[2]
        if record["class_name"] in ("Rescaling", "Normalization") or operation in _SCALING:
            return True
        if record["class_name"] in _RAW:
            raw.add(record["name"])
    return False


def _tensors(argument):
    """The names of the tensors in what a layer is called on."""
    if isinstance(argument, dict):
        return {argument["tensor"]} if "tensor" in argument else set()
    return set().union(*map(_tensors, argument)) if isinstance(argument, list) else set()


def features(document: dict, images: tf.Tensor, builder: typing.Any) -> tf.Tensor:
    """What the head of a document's network sees, its layers put anew on images.

    Raises:
      UsageError: a class that is not registered, or what is no network.
    """
    try:
        source = functional.built(document["layers"][:-1], tuple(images.shape[1:]))
        return keras_graph.Graph(source, images, builder, "").features
    except UsageError as error:
        raise UsageError(f"the architecture of the network: {error}") from None


def note_head(document: dict, model: keras.Model) -> None:
    """Notes on the head how it is drawn, and where its weights stand among those of the network."""
    head = model.get_layer("linear")
    head.draws = {}
    layer = functional.layer_of(document["layers"][-1])
    if document["starts"][document["kernels"][-1][4]] is None:
        head.draws["kernel"] = layer.kernel_initializer
    if head.use_bias and not isinstance(layer.bias_initializer, keras.initializers.Zeros):
        head.draws["bias"] = layer.bias_initializer
    count = sum(len(getattr(layer, "file_positions", ())) for layer in model.layers)
    head.file_positions = {leaf: count + index for index, leaf in enumerate(("kernel", "bias")[: 1 + head.use_bias])}


def load_weights(name: str, model: keras.Model) -> dict[str, np.ndarray]:
    """The arrays by name that came with own:HASH; UsageError where they are not here.

    Args:
      model: of `models.build`.
    """
    if own_networks.of(name)["weights"] is None:
        return {}
    weights = own_networks.WEIGHTS.get(name)
    if weights is None:
        raise UsageError(
            f"--model={name} comes with weights, which are not here: give the function or the model with which the run "
            "began"
        )
    return keras_files.placed(model, weights)
