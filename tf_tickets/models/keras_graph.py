"""Networks that tf_keras built, their layers put anew so that kernels can be masked (docs/science.md)."""

import math
import typing

from tf_tickets.backend import keras, tf
from tf_tickets.errors import UsageError
from tf_tickets.models import keras_facts, keras_layers, own_layers
from tf_tickets.models.description import OWN, Kernel, VarianceScaling
from tf_tickets.models.keras_files import in_file_order, leaf_of

# ImageNet's mean, and what EfficientNet's file has for a variance: the deviations, by whose roots it divides twice.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# Layers with weights that are kept as they are, unpruned.
_UNPRUNED = (
    keras.layers.BatchNormalization, keras.layers.LayerNormalization, keras.layers.GroupNormalization,
    keras.layers.PReLU,
)  # fmt: skip
_UNPRUNED_NAMES = ("LayerScale",)  # a class of ConvNeXt's module alone


class Graph:
    """A Keras network without its head, on images.

    Attributes:
      kernels: the kernels of its layers, in the order in which they were put.
      features: the output of its last layer, named `features`.
    """

    def __init__(self, source: keras.Model, images: tf.Tensor, builder: typing.Any, said: str):
        """Puts the layers.

        Args:
          source: of one input and one output, which is that of its last layer.
          images: a Keras tensor [n, height, width, channels].
          builder: a models.builder.Builder.
          said: what messages begin with.

        Raises:
          UsageError: a layer whose kernel cannot be masked.
        """
        self._said, self._builder, self.kernels = said, builder, []
        exact = builder.policy.compute_dtype == "float64"
        self._preprocessing = "float64" if exact else "float32"
        self._last = source.layers[-1]
        self._positions = {id(weight): index for index, weight in enumerate(in_file_order(source))}
        (self.features,) = self._run(source, [images])

    def _run(self, model, tensors):
        """The outputs of a functional model, its layers put anew on other inputs."""
        made = {id(old): new for old, new in zip(model.inputs, tensors)}
        for layer in model.layers:
            if isinstance(layer, keras.layers.InputLayer):
                continue
            node = layer.inbound_nodes[0]
            args, kwargs = tf.nest.map_structure(
                lambda value: made.get(id(value), value), (node.call_args, node.call_kwargs)
            )
            made[id(node.outputs)] = self._put(layer, args, kwargs)
        return [made[id(tensor)] for tensor in model.outputs]

    def _put(self, layer, args, kwargs):
        if isinstance(layer, keras.Model):
            (output,) = self._run(layer, args)
            return output
        for kind, put in _PUT.items():
            if isinstance(layer, kind):
                return put(self, layer, args[0])
        if own_layers.registered(layer):
            return self._put_own(layer, args, kwargs)
        if layer.weights and not isinstance(layer, _UNPRUNED) and type(layer).__name__ not in _UNPRUNED_NAMES:
            raise self._odd(layer, f"a {type(layer).__name__}, whose weights are not known here")
        return self._copied(layer, args, kwargs)

    def _odd(self, layer, what):
        return UsageError(f"{self._said}its layer {layer.name} is {what}, which is not masked here: use another")

    def _copied(self, layer, args, kwargs):
        config = layer.get_config() | {"name": self._named(layer)}
        if isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization):
            config["dtype"] = self._preprocessing
        elif "function" not in config:  # that of an operation
            config["dtype"] = self._builder.policy
        copy = type(layer).from_config(config)
        outputs = keras_facts.noting_draws(copy, args, kwargs)
        self._note(copy, layer)
        return outputs

    def _put_own(self, layer, args, kwargs):
        """A layer of a class of the user's own, with its kernel where it has one."""
        outputs = self._copied(layer, args, kwargs)
        copy = outputs.node.layer
        if any(True for _ in copy._flatten_layers(include_self=False)):
            raise self._odd(layer, "that holds layers of its own")
        leaves = [*map(leaf_of, copy.weights)]
        if len(set(leaves)) < len(leaves) or not all(weight.dtype.is_floating for weight in copy.weights):
            raise self._odd(layer, "of weights that share a name, or are no decimal numbers")
        if own_layers.prunable(copy):
            shape = tuple(map(int, copy.kernel.shape))
            if len(shape) < 2:
                raise self._odd(layer, f"of a kernel of shape {shape}")
            self.kernels.append(Kernel(copy.name, shape, True, "plain", OWN, False))
        copy.kept_whole = not own_layers.prunable(copy)
        return outputs

    def _named(self, layer):
        return "features" if layer is self._last else layer.name.replace("/", ".")

    def _kernel_name(self, layer):
        """The name of a layer's kernel: where an activation of its own follows, that is what is named `features`."""
        of_activation = keras.activations.serialize(layer.activation) != "linear"
        return layer.name.replace("/", ".") if of_activation else self._named(layer)

    def _note(self, layer, source, leaves=None):
        """Notes on a layer at which positions of a weights file its variables are; `leaves`: source's names of them."""
        positions = {leaf_of(weight): self._positions[id(weight)] for weight in source.weights}
        layer.file_positions = {leaf: positions[(leaves or {}).get(leaf, leaf)] for leaf in map(leaf_of, layer.weights)}

    def _note_drawn(self, layer, source, leaves=None):
        """As `_note`, of a layer whose variables begin at zero: with the initializers that `initial` has none of."""
        self._note(layer, source, leaves)
        layer.draws = {}
        for leaf in map(leaf_of, layer.weights):
            theirs = (leaves or {}).get(leaf, leaf)
            initializer = getattr(source, f"{theirs.removesuffix('_kernel')}_initializer")
            usual = keras.initializers.VarianceScaling if leaf == "kernel" else keras.initializers.Zeros
            if not isinstance(initializer, usual):
                layer.draws[leaf] = initializer

    def _activated(self, x, layer):
        function = keras.activations.serialize(layer.activation)
        if function == "linear":
            return x
        own = self._named(layer)
        return self._activation(x, function, own if layer is self._last else f"{own}.activation")

    def _activation(self, x, function, name):
        policy = self._builder.policy
        return self._builder.relu(x, name) if function == "relu" else keras.layers.Activation(
            function, name=name, dtype=policy
        )(x)  # fmt: skip

    def put_activation(self, layer: keras.layers.Layer, x: tf.Tensor) -> tf.Tensor:
        """An activation; the runtime knows ReLU by its own class."""
        return self._activation(x, keras.activations.serialize(layer.activation), self._named(layer))

    def put_dense(self, layer: keras.layers.Dense, x: tf.Tensor) -> tf.Tensor:
        """A dense layer."""
        shape, name = layer.kernel.shape, self._kernel_name(layer)
        kernel = self._kernel(layer, name, shape, "dense", layer.kernel_initializer, layer.use_bias)
        outputs = self._builder.dense(x, kernel)
        self._note_drawn(outputs.node.layer, layer)
        return self._activated(outputs, layer)

    def put_convolution(self, layer: keras.layers.Conv2D, x: tf.Tensor) -> tf.Tensor:
        """A convolution, of groups of one channel a depthwise one."""
        shape, kind = tuple(layer.kernel.shape), "plain"
        if layer.groups > 1 and layer.groups == x.shape[-1] == shape[3]:
            shape, kind = (*shape[:2], shape[3], 1), "depthwise"
        kernel = self._kernel(layer, self._kernel_name(layer), shape, kind, layer.kernel_initializer, layer.use_bias)
        return self._activated(self._convolve(x, layer, kernel), layer)

    def put_depthwise(self, layer: keras.layers.DepthwiseConv2D, x: tf.Tensor) -> tf.Tensor:
        """A depthwise convolution."""
        return self._activated(self._depthwise(layer, x, self._kernel_name(layer), layer.use_bias), layer)

    def put_separable(self, layer: keras.layers.SeparableConv2D, x: tf.Tensor) -> tf.Tensor:
        """A separable convolution, as two layers: name.depthwise and name.pointwise."""
        x = self._depthwise(layer, x, f"{layer.name.replace('/', '.')}.depthwise", False)
        shape, name = layer.pointwise_kernel.shape, self._kernel_name(layer)
        name = name if name == "features" else f"{name}.pointwise"
        kernel = self._kernel(layer, name, shape, "plain", layer.pointwise_initializer, layer.use_bias)
        x = self._builder.convolve(x, kernel)
        self._note_drawn(x.node.layer, layer, {"kernel": "pointwise_kernel"})
        return self._activated(x, layer)

    def _depthwise(self, layer, x, name, bias):
        shape = layer.depthwise_kernel.shape
        kernel = self._kernel(layer, name, shape, "depthwise", layer.depthwise_initializer, bias)
        return self._convolve(x, layer, kernel, {"kernel": "depthwise_kernel"})

    def _kernel(self, layer, name, shape, kind, initializer, bias):
        self.kernels.append(Kernel(name, tuple(map(int, shape)), True, kind, scaling(initializer), bias))
        return self.kernels[-1]

    def _convolve(self, x, layer, kernel, leaves=None):
        """A convolution; where it is strided, TensorFlow's padding of it as a layer of its own."""
        sides, (stride, across), same = kernel.shape[:2], layer.strides, layer.padding == "same"
        if same and max(layer.strides) > 1:
            pads = [_padding(length, side, step) for length, side, step in zip(x.shape[1:3], sides, layer.strides)]
            same = False
            if any(map(sum, pads)):
                x = keras.layers.ZeroPadding2D(pads, name=f"{kernel.name}.pad", dtype=self._builder.policy)(x)
        depthwise, dilated = kernel.kind == "depthwise", tuple(layer.dilation_rate) != (1, 1)
        if dilated and max(layer.strides) > 1:
            raise self._odd(layer, "a convolution of both strides and dilation")
        square = sides[0] == sides[1] and stride == across
        grouped = kernel.shape[3] > 1 if depthwise else kernel.shape[2] < x.shape[-1]
        fits = square and not dilated and not grouped and (sides[0] % 2 == 1 or not same)
        if fits and not (depthwise and kernel.bias):
            outputs = self._builder.convolve(x, kernel, stride, None if same else 0)
        else:
            outputs = keras_layers.Convolution(
                kernel.shape, layer.strides, "same" if same else "valid", depthwise, kernel.bias,
                layer.dilation_rate, name=kernel.name, dtype=self._builder.policy,
            )(x)  # fmt: skip
        self._note_drawn(outputs.node.layer, layer, leaves)
        return outputs

    def put_normalization(self, layer: keras.layers.Normalization, x: tf.Tensor) -> tf.Tensor:
        """Standardisation of the images; where mean and variance come with the weights, they are ImageNet's here."""
        if not layer.weights:
            return self._copied(layer, (x,), {})
        name, dtype = self._named(layer), self._preprocessing
        outputs = keras_layers.Standardisation(_MEAN, _DEVIATION, name=name, dtype=dtype)(x)
        self._note(outputs.node.layer, layer)
        roots = [1.0 / math.sqrt(deviation) for deviation in _DEVIATION]
        return keras.layers.Rescaling(roots, name=f"{name}.rescaling", dtype=dtype)(outputs)

    def put_dropout(self, layer: keras.layers.Dropout, x: tf.Tensor) -> tf.Tensor:
        """Dropout with draws of ours."""
        of_maps = isinstance(layer, keras.layers.SpatialDropout2D)
        noise_shape = (None, 1, 1, x.shape[-1]) if of_maps else layer.noise_shape
        return keras_layers.StatelessDropout(
            layer.rate, noise_shape, name=self._named(layer), dtype=self._builder.policy
        )(x)


# A convolution of a class derived from another's stands before it.
_PUT = {
    keras.layers.SeparableConv2D: Graph.put_separable,
    keras.layers.DepthwiseConv2D: Graph.put_depthwise,
    keras.layers.Conv2D: Graph.put_convolution,
    keras.layers.Dense: Graph.put_dense,
    keras.layers.Normalization: Graph.put_normalization,
    keras.layers.Dropout: Graph.put_dropout,
    keras.layers.Activation: Graph.put_activation,
}


def application(name: str, image_shape: tuple[int, ...]) -> keras.Model:
    """A network of keras.applications, without its top and pooled."""
    keras.backend.reset_uids()  # layers without a name get one that depends on the networks built before
    return getattr(keras.applications, name)(
        include_top=False, weights=None, pooling="avg", input_shape=image_shape
    )  # fmt: skip


def grey_to_colours(images: tf.Tensor, builder: typing.Any) -> tf.Tensor:
    """Grey images with their channel three times."""
    return keras.layers.Concatenate(name="colours", dtype=builder.policy)([images] * 3)


def reversed_channels(images: tf.Tensor, builder: typing.Any) -> tf.Tensor:
    """Images with blue first."""
    return keras_layers.ReversedChannels(name="reversed", dtype=builder.policy)(images)


def _padding(length, side, stride):
    """(before, after) of TensorFlow's `same`."""
    total = max((math.ceil(length / stride) - 1) * stride + side - length, 0)
    return total // 2, total - total // 2


def scaling(initializer: keras.initializers.Initializer) -> str | VarianceScaling:
    """Keras' initializer of a kernel as a VarianceScaling, or OWN."""
    if not isinstance(initializer, keras.initializers.VarianceScaling):
        return OWN
    return VarianceScaling(float(initializer.scale), initializer.mode, initializer.distribution)
