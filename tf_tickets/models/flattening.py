"""A Keras model of the user's own as records of layers: nested models flattened, names that no session decides."""

import re

from tf_tickets.backend import keras, tf
from tf_tickets.errors import UsageError
from tf_tickets.models import functional, own_layers

# Layers of the house have these names.
_RESERVED = (functional.IMAGES, "features", "linear", "enlarge", "colours", "reversed")
_WITHOUT_DRAWS = "changes images by chance: leave it out, and give --augment"


class Flattened:
    """A model's layers in order.

    Attributes:
      records: what `functional.built` takes.
      sources: the model's own layer of each record.
    """

    def __init__(self, model: keras.Model):
        """Goes through a functional model with one input and one output; UsageError names a layer that is refused."""
        self.records: list[dict] = []
        self.sources: list[keras.layers.Layer] = []
        self._names: dict[int, str] = {}
        self._kept: list = []  # so that ids stay those of these tensors
        self._called: dict[int, str] = {}
        self._run(model, [functional.IMAGES], "")

    def _run(self, model, inputs, above):
        """The names of the layers of a functional model's outputs."""
        self._names |= {id(tensor): name for tensor, name in zip(model.inputs, inputs)}
        self._kept.append(model)
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for node in model._nodes_by_depth[depth]:
                if not node.is_input:
                    self._node(node, above)
        return [self._names[id(tensor)] for tensor in model.outputs]

    def _node(self, node, above):
        layer, said = node.layer, f"{above}{node.layer.name}"
        if layer.trainable is False and layer.weights:
            raise UsageError(
                f"its layer {said} is frozen (trainable=False), and rounds train every layer: leave that out, and "
                "train the head first with --head_epochs"
            )
        kwargs = {key: value for key, value in node.call_kwargs.items() if value is not None}
        if kwargs.pop("training", None) is not None:
            raise UsageError(
                f"its layer {said} is called with training=..., which is not kept: leave it out, and use "
                "--batch_norm=frozen to keep statistics"
            )
        if layer.weights and id(layer) in self._called:
            raise UsageError(
                f"its layer {said} is called twice, and shared weights have no mask of their own: make two layers"
            )
        self._called[id(layer)] = said
        if isinstance(layer, keras.Model):
            outputs = self._nested(layer, node, said)
        else:
            outputs = [self._layer(layer, node.call_args, kwargs, said)]
        made = tf.nest.flatten(node.outputs)
        if len(made) != len(outputs):
            raise UsageError(f"its layer {said} gives {len(made)} tensors: use layers that give one")
        self._names |= {id(tensor): name for tensor, name in zip(made, outputs)}

    def _nested(self, model, node, said):
        check_functional(model, f"its layer {said}")
        inputs = tf.nest.flatten(node.call_args)
        if len(inputs) != 1 or len(model.outputs) != 1:
            raise UsageError(f"its layer {said} is a model of several inputs or outputs: use one of each")
        return self._run(model, [self._names[id(inputs[0])]], f"{said}/")

    def _layer(self, layer, args, kwargs, said):
        kind = type(layer).__name__
        reason = own_layers.INSTEAD.get(kind)
        if kind.startswith("Random"):
            reason = _WITHOUT_DRAWS
        name = own_layers.name_of(layer)
        if reason or name is None:
            of_keras = type(layer).__module__.startswith(("tf_keras.", "keras."))
            how = "use other layers" if of_keras else "put its class under tt.models.register_layer"
            raise UsageError(f"its layer {said} is a {kind}, which is not taken: {reason or how}")
        try:
            settings = functional.settings_of(layer)
            given = [functional.argument_of(value, self._names) for value in args]
            named = {key: functional.argument_of(value, self._names) for key, value in kwargs.items()}
        except ValueError as error:
            raise UsageError(f"its layer {said} ({kind}) {error}") from None
        is_operation = kind in ("TFOpLambda", "SlicingOpLambda")
        if not is_operation and given and isinstance(given[0], list) and len(given[0]) == 1:
            raise UsageError(f"its layer {said} ({kind}) is called on one tensor, which it gives back: leave it out")
        function = settings.get("function")
        if is_operation:
            if function not in own_layers.OPERATIONS:
                raise UsageError(
                    f"its layer {said} is tf.{function}, which is not taken: use layers of keras.layers, or a class of "
                    "your own under tt.models.register_layer"
                )
            settings = {"function": function}
        record = {
            "name": self._free(layer, said), "class_name": name, "config": settings, "args": given, "kwargs": named,
        }  # fmt: skip
        self.records.append(record)
        self.sources.append(layer)
        return record["name"]

    def _free(self, layer, said):
        """A name that does not depend on what the process built before, and that no layer here has."""
        snake = _snake(type(layer).__name__)
        function = layer.get_config().get("function", "") if snake.endswith("op_lambda") else ""
        named, automatic = layer.name, rf"({re.escape(snake)}|tf\.{re.escape(function)})(_\d+)?"
        base = re.sub(r"[^A-Za-z0-9_.\-]", ".", named).lstrip("_.-") or snake
        if re.fullmatch(automatic, named):
            base = function.replace("_", "").rpartition(".")[2] or snake
        taken = {record["name"] for record in self.records} | set(_RESERVED)
        if base not in taken:
            return base
        return next(name for number in range(1, len(taken) + 2) if (name := f"{base}_{number}") not in taken)


def _snake(name):
    """As Keras names layers after their class."""
    inner = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", inner).lower()


def check_functional(model: keras.Model, said: str) -> None:
    """UsageError unless a Keras model is functional, or Sequential, and built."""
    if not getattr(model, "_is_graph_network", False):
        if isinstance(model, keras.Sequential):
            raise UsageError(f"{said} is not built: begin it with keras.Input((height, width, channels))")
        raise UsageError(
            f"{said} is a {type(model).__name__}, a class derived from keras.Model, whose layers cannot be masked: "
            "build it as keras.Model(inputs, outputs)"
        )


def check_logits(flat: Flattened, classes: int) -> None:
    """UsageError, which says what to change, unless the last layer is a dense one that gives logits."""
    last, layer = flat.records[-1], flat.sources[-1]
    kind, name = last["class_name"], layer.name
    if kind == "Softmax" or last["config"].get("activation") == "softmax" or last["config"].get("function") in (
        "nn.softmax", "nn.sigmoid", "sigmoid", "math.sigmoid",
    ):  # fmt: skip
        raise UsageError(f"its last layer {name} gives probabilities: remove its softmax, so that it gives logits")
    if kind != "Dense":
        raise UsageError(f"its last layer {name} is a {kind}: end it with keras.layers.Dense({classes})")
    if last["config"].get("activation") not in (None, "linear"):
        raise UsageError(
            f"its last layer {name} has activation={last['config']['activation']}: remove it, so that it gives logits"
        )
    if last["config"]["units"] != classes:
        raise UsageError(
            f"its last layer {name} has {last['config']['units']} outputs, and the data set has {classes} classes: "
            f"write keras.layers.Dense({classes})"
        )
    if len(layer.input.shape) != 2:
        raise UsageError(f"its last layer {name} is given maps: put keras.layers.GlobalAveragePooling2D() before it")
