"""What the document of a ticket claims, checked before any array is read: networks, layers, data, settings, numbers.

Hashes can be made anew by whoever changes a ticket; what is used of it fits together all the same.
"""

import math

from tf_tickets import plugins
from tf_tickets.errors import UsageError, shown
from tf_tickets.models import architecture
from tf_tickets.registry import Registry
from tf_tickets.runtime import facts, files, npz, program
from tf_tickets.settings import checks
from tf_tickets.settings.config import Config, options

# Eight times those of the largest network at its usual width; a ticket in memory takes nine bytes for each.
_MOST_WEIGHTS = 1 << 29
# Of a first map; 30 times what a network here makes of the largest images.
_MOST_VALUES = 1 << 26
_STATES = ("trained", "rewound")


def described(document: dict) -> list[architecture.Network]:
    """The architecture.Network of each member that a document describes, once all that it claims fits together.

    Raises:
      KeyError, TypeError, ValueError, OverflowError, UsageError: something does not; the message says what.
    """
    facts.check_data(document["data"])
    networks = [_described(member) for _, member in files.members(document)]
    if sum(kernel.size for network in networks for kernel in network.kernels()) > 2 * _MOST_WEIGHTS:
        raise ValueError("its members have more weights than there is room for")
    _check_numbers(document)
    if not isinstance(document["content_digest"], str):
        raise ValueError("its content_digest is no text")
    if len(networks) > 1:
        _check_union(document)
    return networks


def _check_union(document):
    """What an ensemble says of all its members together."""
    left, total = (sum(member[name] for member in document["members"]) for name in ("weights_left", "weights_total"))
    if type(document["density"]) is not float or document["density"] != left / total:
        raise ValueError(f"its members keep {left:,} of {total:,} weights, and it records another density")
    if not isinstance(document["ids_digest"], str):
        raise ValueError("its ids_digest is no text")


def _described(document):
    """The architecture.Network of one member."""
    network = _network(document)
    _check_layers(document, network)
    if document["data"]["image_shape"] != list(network.given_shape):
        raise ValueError("its image shape is not that of its network")
    if len(document["data"]["labels"]) != network.classes:
        raise ValueError("its labels are not one name for each class")
    _check_settings(document["settings"])
    check_calibration(document.get("calibration"))
    if not isinstance(document["ids_digest"], str):
        raise ValueError("its ids_digest is no text")
    return network


def check_plugins(document: dict, place: str) -> None:
    """UsageError where a ticket's settings name plugins that are not loaded, or that do not register its parts now."""
    for _, member in files.members(document):
        settings = member.get("settings")
        named = settings.get("plugins") if isinstance(settings, dict) else None
        if isinstance(named, str) and plugins.check_names(named) is None:
            plugins.require(named, place)
            _check_registered(settings, named, place)


def _check_registered(settings, named, place):
    for name, option in options().items():
        value = settings.get(name)
        table = option.metadata["choices"]
        if isinstance(table, Registry) and isinstance(value, str) and value not in table:
            raise UsageError(
                f"{place} has --{name}={shown(value)}, and no such {table.kind} is registered: its run named "
                f"--plugins={named}, which registers {plugins.registered(named)}: give it that name again"
            )


def check_calibration(calibration: dict | None) -> None:
    """ValueError unless it is None or what a Ticket's `calibration` can be."""
    facts.check_temperature(calibration)
    if calibration is None:
        return
    if set(calibration) != {"temperature", "method", "images", "loss", "loss_before"}:
        raise ValueError("its calibration is not temperature, method, images, loss and loss_before")
    method, images = calibration["method"], calibration["images"]
    if not isinstance(method, str) or method == "none" or checks.check_calibration(method):
        raise ValueError(f"its calibration is by {shown(method)}, neither validation nor folds:K")
    if type(images) is not int or not 0 < images < 1 << 53:
        raise ValueError(f"its calibration is on {shown(images)} images")
    losses = calibration["loss"], calibration["loss_before"]
    if any(type(loss) is not float or not 0.0 <= loss < math.inf for loss in losses):
        raise ValueError("its calibration has losses that are no positive numbers")


def _network(document):
    fields = dict(document["network"])
    size = fields.get("image_size", 1)
    whole = [fields["width"], fields["classes"], *fields["image_shape"], size, document["round"]]
    if any(type(number) is not int or number < 0 for number in whole) or len(fields["image_shape"]) != 3:
        raise ValueError("its sizes are not whole numbers")
    if fields["stem"] not in ("small", "full"):
        raise ValueError(f"its stem is {shown(fields['stem'])}, neither small nor full")
    if type(fields["kappa"]) not in (int, float):
        raise ValueError(f"its kappa is {shown(fields['kappa'])}, which is no number")
    if max(fields["width"], fields["classes"], *fields["image_shape"], size) > 1 << 20:
        raise ValueError("its sizes are beyond any network")
    network = architecture.describe(fields.pop("name"), **fields | {"kappa": float(fields["kappa"])})
    kernels, (height, width, channels) = network.kernels(), network.image_shape
    if any(kernel.size < 1 for kernel in kernels) or sum(kernel.size for kernel in kernels) > _MOST_WEIGHTS:
        raise ValueError("it has no weights, or more than any network")
    if height * width * max(network.width, channels) > _MOST_VALUES:
        raise ValueError("its images are larger than any network takes")
    return network


def _check_layers(document, network):
    shapes, total, left = {kernel.name: list(kernel.shape) for kernel in network.kernels()}, 0, 0
    for layer in document["layers"]:
        shape = shapes.pop(layer["layer"], None)
        if shape is None or layer["shape"] != shape or layer["total"] != math.prod(shape):
            raise ValueError(f"{str(layer['layer'])[:60]} does not fit")
        if any(type(number) is not int for number in (*layer["shape"], layer["kept"], layer["total"])):
            raise ValueError(f"the counts of {layer['layer']} are not whole numbers")
        if not 0 <= layer["kept"] <= layer["total"]:
            raise ValueError(f"{layer['layer']} keeps {layer['kept']:,} of {layer['total']:,} weights")
        left, total = left + layer["kept"], total + layer["total"]
    recorded = document["weights_left"], document["weights_total"], document["density"]
    if not total or recorded != (left, total, left / total) or [*map(type, recorded)] != [int, int, float]:
        raise ValueError(f"its layers keep {left:,} of {total:,} weights, and it records others")


def _check_settings(settings):
    """Each setting has a value that its flag takes."""
    if not isinstance(settings, dict) or not all(isinstance(settings[name], str) for name in ("rewind", "loss")):
        raise ValueError("its settings are no values by name, or lack rewind or loss")
    backbone = settings.get("backbone", {})
    if not isinstance(backbone, dict) or not all(isinstance(text, str) for text in backbone.values()):
        raise ValueError("its backbone is no text by name")
    Config.unchecked(**{name: value for name, value in settings.items() if name in options()})


def _check_numbers(document):
    """What was measured are numbers that a card can show."""
    metrics, count = document.get("metrics", {}), document.get("test_images")
    if not isinstance(metrics, dict) or not (count is None or (type(count) is int and 0 < count < 1 << 53)):
        raise ValueError("its metrics are no numbers by name, or its number of test images is no positive number")
    for name, value in metrics.items():
        number = value is None or (type(value) in (int, float) and math.isfinite(value))
        if not number or ("accuracy" in name and value is not None and not 0.0 <= value <= 1.0):
            raise ValueError(f"its {name[:60]} is {str(value)[:40]}")


def arrays(document: dict, network: architecture.Network, archive: npz.Part) -> dict[str, tuple]:
    """The arrays that ticket.npz has to hold, from what the document claims.

    Args:
      document: of one member, that `described` took.
      network: the architecture.Network of it.
      archive: the npz.Part of it; of a network that the runtime has no program for, the lengths of normalisations and
        tokens are those of its headers, bounded by the network's own.

    Returns:
      dict from name to (shape, kind), as npz.Arrays.get takes them.

    Raises:
      files.Damaged, ValueError: program or headers do not fit the network.
    """
    masked = {layer["layer"]: layer for layer in document["layers"]}
    wanted = {}
    for name, layer in masked.items():
        wanted[f"mask/{name}"] = (-(-layer["total"] // 8),), "u"
        wanted |= {f"{state}/{name}": ((layer["kept"],), "f") for state in _STATES}
    for name, shape in _others(document, network, archive, set(masked)).items():
        wanted |= {f"{state}_variables/{name}": (shape, "f") for state in _STATES}
    return wanted


def _others(document, network, archive, masked):
    """Shapes of the variables that no mask covers, by name."""
    kernels = {f"{kernel.name}/kernel": tuple(kernel.shape) for kernel in network.kernels()}
    if document.get("program") is None:
        shapes = _in_headers(network, archive)
    else:
        of_program = program.arrays(document["program"], document["layers"])
        prefix = "trained_variables/"
        shapes = {name[len(prefix) :]: s for name, (s, _) in of_program.items() if name.startswith(prefix)}
        if {name for name in of_program if name.startswith("mask/")} != {f"mask/{name}" for name in masked}:
            raise ValueError("its program has other layers")
    there = {name: shape for name, shape in kernels.items() if name.removesuffix("/kernel") not in masked}
    odd = [name for name in {**there, **shapes} if name in kernels and shapes.get(name) != there.get(name)]
    if odd:
        raise ValueError(f"{odd[0]} does not fit")
    return shapes


def _in_headers(network, archive):
    prefix, kernels = "trained_variables/", {f"{kernel.name}/kernel" for kernel in network.kernels()}
    shapes = {name[len(prefix) :]: archive.header(name)[0] for name in archive.names() if name.startswith(prefix)}
    small = sum(math.prod(shape) for name, shape in shapes.items() if name not in kernels)
    trainable = network.trainable_parameters() - sum(kernel.size for kernel in network.kernels())
    if small > 2 * trainable + (1 << 16):  # each scale and shift has a mean and a variance beside it
        raise ValueError(f"it has {small:,} numbers beside its kernels")
    return shapes
