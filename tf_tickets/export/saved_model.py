"""The ticket as a SavedModel that TensorFlow alone loads: preprocessing, labels and signatures inside."""

from collections.abc import Callable

import numpy as np

from tf_tickets.backend import tf
from tf_tickets.data import pictures
from tf_tickets.data.photographs import SHORTER_SIDE
from tf_tickets.export.ticket import Ticket
from tf_tickets.models import winograd


class _Served(tf.Module):
    def __init__(self, ticket):
        super().__init__()
        network = ticket.with_features()
        self._shape, self._scale = [None, *ticket.data["image_shape"]], float(ticket.data.get("scale", 255.0))
        # One function for all signatures: tracing the network is most of the time that writing takes.
        self._network = tf.function(
            lambda pixels: network(pixels, training=False), [tf.TensorSpec(self._shape, tf.float32)], autograph=False
        )
        # The variables are tracked, the Keras objects around them are not: nobody reads those from a SavedModel, and
        # walking them takes more time than all the rest of writing it.
        self.weights = network.weights
        self.labels = tf.constant(ticket.labels)
        self.mean = tf.constant(ticket.data["mean"], tf.float32)
        self.deviation = tf.constant(ticket.data["deviation"], tf.float32)
        self._dtype = tf.as_dtype(ticket.data.get("dtype", "uint8"))
        self._temperature = ticket.temperature
        self._any_size = bool(ticket.data.get("any_size"))

    def entries(self):
        """The signatures by name."""
        stored, unit = (tf.TensorSpec(self._shape, dtype, "images") for dtype in (self._dtype, tf.float32))
        signatures = {
            "serving_default": tf.function(self._stored, [stored], autograph=False),
            "float": tf.function(self._unit, [unit], autograph=False),
            "features": tf.function(self._features, [stored], autograph=False),
        }
        if self._any_size:
            whole = tf.TensorSpec([None, None, None, self._shape[-1]], tf.uint8, "images")
            signatures["pictures"] = tf.function(self._pictures, [whole], autograph=False)
        return signatures

    def _of_size(self, images):
        # TensorFlow does not compare the shapes of a signature: of another size the network would say something else.
        return tf.cast(tf.ensure_shape(images, self._shape), tf.float32)

    def _run(self, pixels):
        # The same operations in the same order as in training, wide convolutions apart: the same logits up to rounding.
        return self._network((pixels / self._scale - self.mean) / self.deviation)

    def _answer(self, pixels):
        logits, _ = self._run(pixels)
        chosen = tf.argmax(logits, -1)
        return {
            "logits": logits, "probabilities": probabilities(logits, self._temperature), "class": chosen,
            "label": tf.gather(self.labels, chosen),
        }  # fmt: skip

    def _stored(self, images):
        return self._answer(self._of_size(images))

    def _unit(self, images):
        return self._answer(self._of_size(images) * self._scale)

    def _features(self, images):
        return {"features": self._run(self._of_size(images))[1]}

    def _pictures(self, images):
        # `predict` shrinks larger ones while it reads the file, which cannot be repeated on pixels.
        too_large = f"the shorter side of the pictures is over {SHORTER_SIDE}: shrink them to that first"
        small = tf.debugging.assert_less_equal(tf.reduce_min(tf.shape(images)[1:3]), SHORTER_SIDE, too_large)
        shape = self._shape[1:]
        with tf.control_dependencies([small]):
            cropped = tf.map_fn(
                lambda picture: tf.ensure_shape(pictures.middle(picture, shape), shape), images,
                fn_output_signature=tf.TensorSpec(shape, tf.uint8),
            )  # fmt: skip
        return self._answer(tf.cast(cropped, tf.float32))


def probabilities(logits: tf.Tensor, temperature: float) -> tf.Tensor:
    """softmax(logits / temperature), along the last axis."""
    return tf.nn.softmax(logits if temperature == 1.0 else logits / temperature)


def save(ticket: Ticket, folder: str) -> None:
    """Writes the SavedModel of a Ticket.

    Signatures, all on images [n, height, width, channels] of the network's size, others are refused: `serving_default`
    (uint8) and `float` (float32 in [0, 1]) give logits, probabilities, class and label; `features` (uint8) gives what
    the head sees. Of a network of crops `pictures` (uint8) takes any size with a shorter side of at most
    `photographs.SHORTER_SIDE`, and answers what `predict` does.
    """
    module = _Served(ticket)
    with winograd.direct():
        tf.saved_model.save(module, folder, signatures=module.entries())


def predictor(folder: str) -> Callable[[np.ndarray], np.ndarray]:
    """A function from stored images to class probabilities, by TensorFlow and what `save` wrote alone."""
    served = tf.saved_model.load(folder)
    serve = served.signatures["serving_default"]

    def predict(images: np.ndarray) -> np.ndarray:
        _ = served  # whose variables go with it
        return serve(images=tf.constant(images))["probabilities"].numpy()

    return predict
