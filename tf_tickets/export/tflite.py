"""A ticket as TensorFlow Lite: stored pixels in, logits and probabilities out, normalisation inside."""

import contextlib
import os
import sys
from collections.abc import Callable

import numpy as np

from tf_tickets.backend import tf
from tf_tickets.errors import reason
from tf_tickets.export.saved_model import probabilities
from tf_tickets.export.ticket import Ticket
from tf_tickets.models import winograd


def function(ticket: Ticket) -> tuple:
    """The network as TensorFlow Lite's converter takes it.

    Returns:
      (concrete function, tf.Module of its weights): one image [1, height, width, channels] as the data set stores it
      (of 16 bits: float32 of the same values) to a dict of float32 logits and probabilities [1, classes].
    """
    model, facts = ticket.build(), ticket.data
    height, width, channels = facts["image_shape"]
    # Interpreters resize an input to what they are given. With one mean a row and one deviation a column they cannot.
    mean = np.tile(np.asarray(facts["mean"], np.float32), (1, height, 1, 1))
    deviation = np.tile(np.asarray(facts["deviation"], np.float32), (1, 1, width, 1))
    scale = np.float32(facts.get("scale", 255.0))
    kind = tf.uint8 if facts.get("dtype", "uint8") == "uint8" else tf.float32

    def answer(images):
        logits = model((tf.cast(images, tf.float32) / scale - mean) / deviation, training=False)
        return {"logits": logits, "probabilities": probabilities(logits, ticket.temperature)}

    signature = [tf.TensorSpec([1, height, width, channels], kind, "images")]
    with winograd.direct():
        concrete = tf.function(answer, signature).get_concrete_function()
    # The converter saves what it is given beside the function, each time anew. The Keras objects, which it does not
    # read, would be most of its time.
    weights = tf.Module()
    weights.all = model.weights
    return concrete, weights


def missing() -> str | None:
    """Why nothing can be converted here and compared, in words; None where it can."""
    try:
        tf.lite.TFLiteConverter  # noqa: B018  loaded when it is asked for
    except (AttributeError, ImportError) as error:
        return f"TensorFlow is here without TensorFlow Lite ({reason(error)})"
    try:
        import ai_edge_litert.interpreter  # noqa: F401
    except ImportError as error:
        return f"it is compared by ai-edge-litert, which is not here ({reason(error)}): pip install ai-edge-litert"
    return None


def convert(network: tuple, kind: str, images: np.ndarray) -> bytes:
    """The bytes of a TensorFlow Lite file.

    Args:
      network: what `function` gives.
      kind: tflite, tflite_float16 (weights stored in 16 bits), or tflite_int8 (weights and activations in 8 bits).
      images: what tflite_int8 is calibrated on, of the data set's stored type; unused otherwise.
    """
    concrete, weights = network
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], weights)
    if kind != "tflite":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "tflite_float16":
        converter.target_spec.supported_types = [tf.float16]
    if kind == "tflite_int8":
        given = images.astype(concrete.inputs[0].dtype.as_numpy_dtype)
        converter.representative_dataset = lambda: ([image[np.newaxis]] for image in given)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    with _quiet():
        return converter.convert()


def predictor(data: bytes, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """A function from stored images to class probabilities [n, classes], by LiteRT, an image at a time."""
    from ai_edge_litert.interpreter import Interpreter

    with _quiet():
        run = Interpreter(model_content=data, num_threads=threads).get_signature_runner()
        details = run.get_input_details()["images"]
        kind = details["dtype"]
        run(images=np.zeros(details["shape"], kind))  # what the first image makes it say is said now

    def predict(images: np.ndarray) -> np.ndarray:
        return np.concatenate([run(images=image[np.newaxis])["probabilities"] for image in images.astype(kind)])

    return predict


@contextlib.contextmanager
def _quiet():
    """Without what the C++ of converter and interpreter writes to standard error."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
