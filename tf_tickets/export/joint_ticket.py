"""`Ensemble`: several tickets as one, whose probabilities are the mean of theirs."""

import functools
import hashlib
import itertools
import math
import typing
from collections.abc import Sequence

from tf_tickets.errors import UsageError, shown
from tf_tickets.export.ticket import Ticket, ids_digest, with_features
from tf_tickets.runtime.files import MOST_MEMBERS, canonical

if typing.TYPE_CHECKING:
    from tf_tickets.backend import keras

# What a Ticket has of its one network.
_OF_ONE = ("masks", "trained", "rewound", "network", "round")
# What facts of a data set mean where an earlier version wrote none.
_IMPLIED = {"dtype": "uint8", "scale": 255.0, "any_size": False}


class Ensemble(Ticket):
    """Tickets as one: their probabilities, each at its own temperature, are averaged; logits are the logarithm of that.

    It is a Ticket in all that is asked of images, data and files. What only one network has, such as masks, it has not:
    asking for it is a UsageError.

    Attributes:
      members: the Tickets.
      ids: ids of the training images of any member; None where those of one are not known.
      folder: the folder from which it was loaded, or None.
    """

    def __init__(self, members: Sequence[Ticket], ids: tuple | None = None, folder: str | None = None):
        """`ids`: where the members do not know theirs, since they were read from one list."""
        if ids is None and all(member.ids is not None for member in members):
            ids = tuple(sorted({name for member in members for name in member.ids or ()}))
        pictures = {member.pictures for member in members}
        same = len(pictures) == 1
        facts = {
            "_members": tuple(members), "ids": ids, "folder": folder, "data": members[0].data, "settings": {},
            "ids_digest": "" if ids is None else ids_digest(ids),
            # Of none that is there: members of other pictures cannot be tested together.
            "pictures": pictures.pop() if same else ids_digest(map(str, pictures)), "calibration": None,
        }  # fmt: skip
        for name, value in facts.items():
            object.__setattr__(self, name, value)

    def __getattr__(self, name):
        """Called for what is not there."""
        if name in _OF_ONE:
            raise UsageError(f"{self!r} has no {name} of its own: give one of its members' folders")
        raise AttributeError(name)

    def __repr__(self):
        """One line, without the arrays."""
        folder = "" if self.folder is None else f", {self.folder}"
        networks = " and ".join(sorted({f"{m.network['name']} of width {m.network['width']}" for m in self.members}))
        return f"<Ensemble of {len(self.members)} tickets: {networks} on {self.data['dataset']}{folder}>"

    @property
    def members(self) -> tuple[Ticket, ...]:
        """The Tickets."""
        return self._members

    @property
    def density(self) -> float:
        """The fraction of the members' prunable weights that is kept, in [0, 1]."""
        masks = [mask for member in self.members for mask in member.masks.values()]
        return sum(int(mask.sum()) for mask in masks) / sum(mask.size for mask in masks)

    @property
    def round_name(self) -> str:
        """What stands for a round in rows: other members, other text."""
        return f"ensemble_{self.content_digest[:8]}"

    @functools.cached_property
    def content_digest(self) -> str:
        """SHA-256 over the members' own and the training images."""
        return hashlib.sha256(canonical([[m.content_digest for m in self.members], self.ids_digest])).hexdigest()

    @property
    def retrained_digest(self) -> str:
        """None of its own: a retraining takes one mask."""
        return self.masks  # raises

    def build(self) -> "keras.Model":
        """A plain Keras network; float32 normalised images in, the logarithm of the mean probabilities out."""
        from tf_tickets.backend import keras

        joined = self._joined([with_features(member.build()) for member in self.members])
        return keras.Model(joined.input, joined.outputs[0])

    def with_features(self) -> "keras.Model":
        """Images -> [logits, features of all members side by side]."""
        return self._joined([member.with_features() for member in self.members])

    def _joined(self, networks):
        from tf_tickets.backend import keras, tf

        images, logarithms, features = keras.Input(tuple(self.data["image_shape"])), [], []
        for index, (member, network) in enumerate(zip(self.members, networks)):
            logits, seen = keras.Model(network.input, network.outputs, name=f"member_{index:02d}")(images)
            logarithms.append(tf.nn.log_softmax(logits / member.temperature))
            features.append(seen)
        mean = tf.reduce_logsumexp(tf.stack(logarithms), axis=0) - math.log(len(networks))
        return keras.Model(images, [mean, tf.concat(features, 1)])


def of(tickets: dict[str, Ticket]) -> Ensemble:
    """The Ensemble of tickets, by what messages call each.

    Raises:
      UsageError: they are fewer than two or more than `files.MOST_MEMBERS`, one is given twice or is an ensemble
        itself, or they do not share labels, preprocessing and image shape.
    """
    if not 2 <= len(tickets) <= MOST_MEMBERS:
        raise UsageError(f"an ensemble is of 2 to {MOST_MEMBERS} tickets, and {len(tickets):,} were given")
    for place, ticket in tickets.items():
        if isinstance(ticket, Ensemble):
            raise UsageError(f"{place} is an ensemble itself: give its members' folders instead")
    first, model = next(iter(tickets.items()))
    for place, ticket in tickets.items():
        wanted, given = _IMPLIED | model.data, _IMPLIED | ticket.data
        odd = next((name for name in {**wanted, **given} if wanted.get(name) != given.get(name)), None)
        if odd is not None:
            raise UsageError(
                f"{first} and {place} differ in {odd}, {shown(wanted.get(odd))} and {shown(given.get(odd))}: tickets "
                "of one ensemble share labels, preprocessing and image shape"
            )
    digests = {place: ticket.retrained_digest for place, ticket in tickets.items()}
    for (place, digest), (second, again) in itertools.combinations(digests.items(), 2):
        if digest == again:
            raise UsageError(f"{place} and {second} are the same ticket: give each once")
    return Ensemble(list(tickets.values()))
