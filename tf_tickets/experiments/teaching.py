"""Who teaches a run under `distillation`: the network that `teacher` names, or a search's own round 0."""

import typing
from collections.abc import Callable, Sequence

from tf_tickets.errors import UsageError
from tf_tickets.settings.config import Config

if typing.TYPE_CHECKING:  # what is imported where it is needed
    from tf_tickets.backend import keras, tf
    from tf_tickets.data.catalog import DataSet
    from tf_tickets.export.ticket import Ticket


def content(config: Config, data_set: "DataSet") -> list[tuple[str, object]]:
    """The pair that joins the digest in the place of the teacher's path; none without a teacher of its own.

    Args:
      config: the settings.
      data_set: that the network is trained on.

    Raises:
      UsageError, StateError: the teacher is no network, is damaged, or knows other classes or images.
    """
    if config.training.teacher is None:
        return []
    return [("teacher", _ticket(config.training.teacher, data_set).content_digest)]


def _ticket(path, data_set):
    from tf_tickets.export import predict

    ticket = predict.load(path)
    given, wanted = tuple(ticket.data["image_shape"]), data_set.image_shape
    if len(ticket.labels) != data_set.classes:
        raise UsageError(
            f"--teacher={path} knows {len(ticket.labels)} classes, {data_set.name} has {data_set.classes}: give a "
            "network of these classes"
        )
    if given != wanted:
        raise UsageError(
            f"--teacher={path} takes images of {_by(given)}, the network learns from {_by(wanted)}: give a network of "
            "such images"
        )
    return ticket


def _by(shape):
    return "x".join(map(str, shape))


def answers(path: str, data_set: "DataSet", temperature: float) -> Callable[["tf.Tensor"], "tf.Tensor"]:
    """What the network of a folder answers: function from normalised images to float32 [n, classes].

    Of an ensemble the mean over its members, each softened by itself.

    Args:
      path: of a ticket, a round or a run.
      data_set: whose normalisation the images have.
      temperature: that logits are divided by.
    """
    ticket = _ticket(path, data_set)
    return _mean([_softened(member.model, temperature, _adapted(member, data_set)) for member in ticket.members])


def answers_of(model: "keras.Model", temperature: float) -> Callable[["tf.Tensor"], "tf.Tensor"]:
    """As `answers`, of a Keras network that sees the images as they are."""
    return _softened(model, temperature, lambda images: images)


def _mean(functions: Sequence[Callable]) -> Callable:
    return lambda images: sum(function(images) for function in functions) / len(functions)


def _softened(model, temperature, adapted):
    from tf_tickets.backend import tf

    def answer(images):
        logits = tf.cast(model(adapted(images), training=False), tf.float32)
        return tf.stop_gradient(tf.nn.softmax(logits / temperature))

    return answer


def _adapted(ticket: "Ticket", data_set):
    """Images normalised for one network as they are for another."""
    mean, deviation = (tuple(ticket.data[name]) for name in ("mean", "deviation"))
    if (mean, deviation) == (tuple(data_set.mean), tuple(data_set.deviation)):
        return lambda images: images
    return lambda images: (images * data_set.deviation + data_set.mean - mean) / deviation
