"""What the analyses of one command share: data, networks, outputs of layers on a fixed sample of test images."""

import functools
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from tf_tickets import backend, seeds
from tf_tickets.data import pipeline, sources
from tf_tickets.data.catalog import DataSet
from tf_tickets.evaluation import evaluate, networks
from tf_tickets.export.ticket import Ticket
from tf_tickets.models import architecture
from tf_tickets.models.description import Network as Described
from tf_tickets.registry import DATASETS
from tf_tickets.settings.places import Place

SAMPLE, BATCH = 1000, 100


class Loader:
    """Data and networks, each loaded when first asked for.

    Attributes:
      config: the Config of the command.
      devices: function () -> backend.Devices.
      network: function networks.Subject -> networks.Network; the last two are kept.
      source: function (name of a data set, where it is) -> data.sources.Source.
      test: function (name of a data set, where it is) -> data.pipeline.Images, all test images.
    """

    def __init__(self, config):
        self.config = config
        self.devices = functools.cache(lambda: backend.start(config.run))
        self.network = functools.lru_cache(maxsize=2)(self._network)
        self.source = functools.cache(lambda name, place: sources.load(name, place))
        self.test = functools.cache(self._test)

    def data_set(self, subject: networks.Subject) -> DataSet:
        """The catalog.DataSet of a network."""
        return evaluate.data_set_of(subject, self.config)

    def place(self, network: networks.Network, name: str) -> Place:
        """Where a data set is for an analysis of a networks.Network: in `--data_dir`, else beside the network's own."""
        if name == network.data_set.name:
            return network.place
        beside = self.config.data.data_dir is None and network.data_set.source in ("tfds", "tfds_group")
        return network.place if beside and DATASETS[name].is_there(network.place) else self.config.data.place

    def _network(self, subject):
        data_set = functools.partial(self.data_set, subject)
        place = evaluate.place_of(subject, self.config)
        return networks.Network(subject.ticket, data_set, self.devices, place)

    def _test(self, name, place):
        return pipeline.Images.of_test(self.source(name, place))

    def sample(self, name: str, place: Place) -> pipeline.Images:
        """The test images that similarity and activity look at: always the same 1,000, or all where there are fewer.

        Args:
          name, place: of the data set, and where it is.

        Returns:
          A data.pipeline.Images in original order.
        """
        images = self.test(name, place)
        keys = seeds.spread(seeds.fold("analysis"), images.ids)
        return images[np.sort(np.argsort(keys, kind="stable")[:SAMPLE])]


def described(ticket: Ticket) -> Described:
    """The models.description.Network of a ticket."""
    facts = dict(ticket.network)
    return architecture.describe(facts.pop("name"), **facts)


def pixels_of(
    images: pipeline.Images, data_set: DataSet, adapt: Callable[[np.ndarray], np.ndarray] = lambda pixels: pixels
) -> Iterator[np.ndarray]:
    """Batches of a split as the network's input, normalised by `data_set`.

    Args:
      data_set: the catalog.DataSet of the network.
      adapt: changes stored pixel values, float32 [n, height, width, channels], beforehand.

    Yields:
      float32 [n, height, width, channels], n at most `BATCH`.
    """
    for start in range(0, len(images), BATCH):
        yield data_set.normalise(adapt(pipeline.evaluation_pixels(images, slice(start, start + BATCH), data_set)))


def outputs(network: networks.Network, tensors: list, batches: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """Values inside a network in inference mode.

    Args:
      tensors: list of Keras tensors of its model.
      batches: iterable of normalised images.

    Yields:
      One list of float32 arrays per batch, in the order of `tensors`.
    """
    from tf_tickets.backend import keras, tf

    inner = keras.Model(network.model.input, tensors)
    compute = tf.function(lambda images: inner(images, training=False), reduce_retracing=True, autograph=False)
    for images in batches:
        values = compute(images)
        yield [part.numpy() for part in (values if isinstance(values, (list, tuple)) else [values])]


def activations(network: networks.Network, tensors: list, images: pipeline.Images) -> Iterator[list[np.ndarray]]:
    """`outputs` on a split of the network's own data set."""
    return outputs(network, tensors, pixels_of(images, network.data_set))
