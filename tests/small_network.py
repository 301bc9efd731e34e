"""A network of two convolutions for tests of whole runs, `tests:two`: a run of it costs half of one of VGG-11.

`tests:pooled` has a pooling layer between them, as VGG-11. Both are known to this process and to commands that
`command_server.loaded` starts, in a group that no list shows: other processes want another network.
"""

from collections.abc import Mapping

from tf_tickets.models.description import Entry, Kernel, Network
from tf_tickets.registry import NETWORKS

NAME = "tests:two"
POOLED = "tests:pooled"


class Two(Network):
    """Two convolutions of stride 2 with normalisation, of four and eight times the width."""

    def body(self):
        channels = self.image_shape[2], 4 * self.width, 8 * self.width
        return [Kernel(f"conv{i}", (3, 3, channels[i], channels[i + 1]), prunable=True) for i in range(2)]

    def build(self, images, builder):
        x = images
        for kernel in self.body():
            x = builder.normalise(builder.convolve(x, kernel, stride=2), f"{kernel.name}.bn")
            x = builder.relu(x, f"{kernel.name}.relu")
        return builder.pooled(x)


class Pooled(Two):
    """The same with strides of 1, and the largest of each 2 x 2 values before the second."""

    def build(self, images, builder):
        x = images
        for kernel in self.body():
            if kernel.name == "conv1":
                x = builder.max_pool(x, 2, 2, "pool")
            x = builder.normalise(builder.convolve(x, kernel), f"{kernel.name}.bn")
            x = builder.relu(x, f"{kernel.name}.relu")
        return builder.pooled(x)


ENTRY = Entry(Two, default_width=4, normalises=True, runtime=True)


@NETWORKS.register_group("tests", spelled=None)
class _Group(Mapping):
    def __getitem__(self, name):
        return {NAME: ENTRY, POOLED: Entry(Pooled, default_width=4, normalises=True, runtime=True)}[name]

    def __iter__(self):
        return iter((NAME, POOLED))

    def __len__(self):
        return 2
