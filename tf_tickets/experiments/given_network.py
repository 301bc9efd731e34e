"""A run's network where the user gives a function or a Keras model: its settings name it by its architecture."""

import typing

from tf_tickets import own_networks, plugins
from tf_tickets.data.sources import facts_of
from tf_tickets.errors import UsageError
from tf_tickets.models import architecture
from tf_tickets.notices import say
from tf_tickets.settings.config import Config
from tf_tickets.settings.groups import Network

# Names of networks by what gave them, and the sizes for which it did.
_NAMES: dict[tuple, str] = {}


def resolved(config: Config) -> Config:
    """The settings with own:HASH in the place of PACKAGE.MODULE:FUNCTION; TensorFlow is loaded to build the network.

    Raises:
      UsageError: the network cannot be pruned, or does not fit the images.
    """
    text = config.network.model
    if text not in own_networks.FUNCTIONS:
        return config
    if config.run.dry_run:
        say(f"TensorFlow is loaded: the weights of --model={text} are counted in the network that it builds")
    return _named(config, own_networks.FUNCTIONS[text])


def with_model(config: Config, model: typing.Any) -> Config:
    """The settings of a run on a network that Python gives.

    Args:
      config: whose `model` is left at its default.
      model: a functional Keras model, or a function that gives one.

    Raises:
      UsageError: as `resolved`; or it is neither, or the settings name another network.
    """
    if config.network.model != Network().model:
        raise UsageError(f"model= and Config(model={config.network.model!r}) are two networks: keep one")
    if isinstance(model, type):
        raise UsageError(
            f"model={model.__name__} is a class: give a functional Keras model, or a function that gives one"
        )
    if not callable(model) or hasattr(model, "get_weights") and not hasattr(model, "layers"):
        raise UsageError(f"model= is of type {type(model).__name__}: give a functional Keras model, or a function")
    is_model = any(base.__name__ == "Model" and "keras" in base.__module__ for base in type(model).__mro__)
    return _named(config, model if is_model else plugins.function_given(model))


def _named(config, given):
    facts = facts_of(config.data, config.run.dry_run)
    data_set = architecture.as_seen(config.network, facts)
    size = None if data_set.encoded else config.network.image_size
    shape = architecture.enlarged(data_set.image_shape, size) if size else tuple(data_set.image_shape)
    key = (given, facts.classes, shape)
    is_function = isinstance(given, own_networks.Function)
    if config.run.strategy == "multi_worker":
        raise UsageError(
            f"--strategy=multi_worker has to start before --model={config.network.model} is built: use one machine, or "
            "a network that is here"
        )
    if key not in _NAMES or not is_function:  # the weights of a model may have changed since
        from tf_tickets import backend
        from tf_tickets.models import own_model

        if not config.run.dry_run:  # before anything computes, which settles threads and devices
            backend.start(config.run, batch_size=config.data.batch_size)
        _NAMES[key] = own_model.named(given, classes=facts.classes, image_shape=shape, place=f"--dataset={facts.name}")
    return config.replace(model=_NAMES[key])
