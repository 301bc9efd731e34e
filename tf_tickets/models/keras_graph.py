"""The classifiers of tf_keras.applications, their layers put anew so that kernels can be masked (docs/science.md)."""

import math
import typing

import numpy as np

from tf_tickets.backend import keras, tf
from tf_tickets.errors import UsageError
from tf_tickets.models import keras_layers
from tf_tickets.models.description import Kernel, VarianceScaling

# ImageNet's mean, and what EfficientNet's file has for a variance: the deviations, by whose roots it divides twice.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# Layers with weights that are kept as they are, unpruned.
_UNPRUNED = (keras.layers.BatchNormalization, keras.layers.LayerNormalization)
_UNPRUNED_NAMES = ("LayerScale",)  # a class of ConvNeXt's module alone


class Graph:
    """One application on images.

    Attributes:
      kernels: the kernels of its layers, in the order in which they were put.
      features: the output of its last layer, named `features`.
    """

    def __init__(self, application: str, images: tf.Tensor, builder: typing.Any):
        """Puts the layers.

        Args:
          application: a name in keras.applications.
          images: a Keras tensor [n, height, width, 3].
          builder: a models.builder.Builder.

        Raises:
          UsageError: a layer whose kernel cannot be masked.
        """
        self._name, self._builder, self.kernels = application, builder, []
        exact = builder.policy.compute_dtype == "float64"
        self._preprocessing = "float64" if exact else "float32"
        keras.backend.reset_uids()  # layers without a name get one that depends on the networks built before
        source = getattr(keras.applications, application)(
            include_top=False, weights=None, pooling="avg", input_shape=tuple(images.shape[1:])
        )
        self._last = source.layers[-1]
        self._positions = {id(weight): index for index, weight in enumerate(_in_file_order(source))}
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
        if layer.weights and not isinstance(layer, _UNPRUNED) and type(layer).__name__ not in _UNPRUNED_NAMES:
            raise self._odd(layer, f"a {type(layer).__name__}, whose weights are not known here")
        return self._copied(layer, args, kwargs)

    def _odd(self, layer, what):
        return UsageError(f"--model=keras:{self._name}: its layer {layer.name} is {what}; choose another network")

    def _copied(self, layer, args, kwargs):
        config = layer.get_config() | {"name": self._named(layer)}
        if isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization):
            config["dtype"] = self._preprocessing
        elif "function" not in config:  # that of an operation
            config["dtype"] = self._builder.policy
        copy = type(layer).from_config(config)
        outputs = copy(*args, **kwargs)
        self._note(copy, layer)
        return outputs

    def _named(self, layer):
        return "features" if layer is self._last else layer.name.replace("/", ".")

    def _note(self, layer, source, leaves=None):
        """Notes on a layer at which positions of a weights file its variables are; `leaves`: source's names of them."""
        positions = {_leaf(weight): self._positions[id(weight)] for weight in source.weights}
        layer.file_positions = {leaf: positions[(leaves or {}).get(leaf, leaf)] for leaf in map(_leaf, layer.weights)}

    def _activated(self, x, layer):
        function = keras.activations.serialize(layer.activation)
        if function == "linear":
            return x
        return self._activation(x, function, f"{self._named(layer)}.activation")

    def _activation(self, x, function, name):
        policy = self._builder.policy
        return self._builder.relu(x, name) if function == "relu" else keras.layers.Activation(
            function, name=name, dtype=policy
        )(x)  # fmt: skip

    def put_activation(self, layer: keras.layers.Layer, x: tf.Tensor) -> tf.Tensor:
        """An activation; the runtime knows ReLU by its own class."""
        return self._activation(x, keras.activations.serialize(layer.activation), self._named(layer))

    def put_dense(self, layer: keras.layers.Dense, x: tf.Tensor) -> tf.Tensor:
        """A dense layer with a bias."""
        if not layer.use_bias:
            raise self._odd(layer, "a dense layer without bias")
        kernel = self._kernel(layer, self._named(layer), layer.kernel.shape, "dense", layer.kernel_initializer, True)
        outputs = self._builder.dense(x, kernel)
        self._note(outputs.node.layer, layer)
        return self._activated(outputs, layer)

    def put_convolution(self, layer: keras.layers.Conv2D, x: tf.Tensor) -> tf.Tensor:
        """A convolution, of groups of one channel a depthwise one."""
        shape, kind = tuple(layer.kernel.shape), "plain"
        if layer.groups > 1:
            if not layer.groups == x.shape[-1] == shape[3]:
                raise self._odd(layer, f"a convolution of {layer.groups} groups")
            shape, kind = (*shape[:2], shape[3], 1), "depthwise"
        kernel = self._kernel(layer, self._named(layer), shape, kind, layer.kernel_initializer, layer.use_bias)
        return self._activated(self._convolve(x, layer, kernel), layer)

    def put_depthwise(self, layer: keras.layers.DepthwiseConv2D, x: tf.Tensor) -> tf.Tensor:
        """A depthwise convolution."""
        return self._activated(self._depthwise(layer, x, self._named(layer), layer.use_bias), layer)

    def put_separable(self, layer: keras.layers.SeparableConv2D, x: tf.Tensor) -> tf.Tensor:
        """A separable convolution, as two layers: name.depthwise and name.pointwise."""
        x = self._depthwise(layer, x, f"{self._named(layer)}.depthwise", False)
        shape, name = layer.pointwise_kernel.shape, f"{self._named(layer)}.pointwise"
        kernel = self._kernel(layer, name, shape, "plain", layer.pointwise_initializer, layer.use_bias)
        x = self._builder.convolve(x, kernel)
        self._note(x.node.layer, layer, {"kernel": "pointwise_kernel"})
        return self._activated(x, layer)

    def _depthwise(self, layer, x, name, bias):
        shape = layer.depthwise_kernel.shape
        if shape[3] != 1:
            raise self._odd(layer, f"a depthwise convolution of {shape[3]} filters a channel")
        kernel = self._kernel(layer, name, shape, "depthwise", layer.depthwise_initializer, bias)
        return self._convolve(x, layer, kernel, {"kernel": "depthwise_kernel"})

    def _kernel(self, layer, name, shape, kind, initializer, bias):
        self.kernels.append(Kernel(name, tuple(map(int, shape)), True, kind, _scaling(initializer), bias))
        if getattr(layer, "dilation_rate", (1, 1)) != (1, 1):
            raise self._odd(layer, "a dilated convolution")
        return self.kernels[-1]

    def _convolve(self, x, layer, kernel, leaves=None):
        """A convolution; where it is strided, TensorFlow's padding of it as a layer of its own."""
        sides, (stride, across), same = kernel.shape[:2], layer.strides, layer.padding == "same"
        if same and max(layer.strides) > 1:
            pads = [_padding(length, side, step) for length, side, step in zip(x.shape[1:3], sides, layer.strides)]
            same = False
            if any(map(sum, pads)):
                x = keras.layers.ZeroPadding2D(pads, name=f"{kernel.name}.pad", dtype=self._builder.policy)(x)
        depthwise = kernel.kind == "depthwise"
        fits = sides[0] == sides[1] and stride == across and (sides[0] % 2 == 1 or not same)
        if fits and not (depthwise and kernel.bias):
            outputs = self._builder.convolve(x, kernel, stride, None if same else 0)
        else:
            outputs = keras_layers.Convolution(
                kernel.shape, layer.strides, "same" if same else "valid", depthwise, kernel.bias, name=kernel.name,
                dtype=self._builder.policy,
            )(x)  # fmt: skip
        self._note(outputs.node.layer, layer, leaves)
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
        return keras_layers.StatelessDropout(
            layer.rate, layer.noise_shape, name=self._named(layer), dtype=self._builder.policy
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


def grey_to_colours(images: tf.Tensor, builder: typing.Any) -> tf.Tensor:
    """Grey images with their channel three times."""
    return keras.layers.Concatenate(name="colours", dtype=builder.policy)([images] * 3)


def reversed_channels(images: tf.Tensor, builder: typing.Any) -> tf.Tensor:
    """Images with blue first."""
    return keras_layers.ReversedChannels(name="reversed", dtype=builder.policy)(images)


def _leaf(weight):
    return weight.name.split("/")[-1].split(":")[0]


def _in_file_order(model):
    """The weights in the order in which tf_keras saves them to .h5."""
    return [weight for layer in model.layers for weight in layer.trainable_weights + layer.non_trainable_weights]


def _padding(length, side, stride):
    """(before, after) of TensorFlow's `same`."""
    total = max((math.ceil(length / stride) - 1) * stride + side - length, 0)
    return total // 2, total - total // 2


def _scaling(initializer):
    """Keras' initializer of a kernel as a VarianceScaling."""
    return VarianceScaling(float(initializer.scale), initializer.mode, initializer.distribution)


def own_names(model: keras.Model, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays of an .h5 of Keras' under the names of a network here.

    Args:
      model: a network of `models.build` of an application.
      arrays: in the file's order, by which Keras tells them apart; those of a head, which come last, are left out.
        Where they are under the names of the network itself, or PyTorch's, they stay as they are.

    Raises:
      UsageError: fewer arrays, or of other shapes.
    """
    wanted = {
        f"{layer.name}/{leaf}": (position, tuple(getattr(layer, leaf).shape))
        for layer in model.layers
        for leaf, position in getattr(layer, "file_positions", {}).items()
    }
    if set(wanted) <= set(arrays) or not all("/" in name for name in arrays):
        return arrays
    given, placed = list(arrays.items()), {}
    for name, (position, shape) in wanted.items():
        if position >= len(given):
            raise UsageError(f"--pretrained holds {len(given)} arrays, and no {name}: it is another network's file")
        theirs, array = given[position]
        if array.ndim == 4 and array.shape != shape:  # of groups of one channel
            array = array.transpose(0, 1, 3, 2)
        if array.shape != shape:
            raise UsageError(
                f"--pretrained has {theirs} of shape {list(given[position][1].shape)} where this network has {name} of "
                f"{list(shape)}: it is another network's file"
            )
        placed[name] = array
    return placed
