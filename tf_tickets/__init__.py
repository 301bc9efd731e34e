"""Sparse winning tickets from few labelled images, on TensorFlow and Keras.

Importing the package switches TensorFlow to legacy Keras (tf_keras), which the pruning wrappers need, and imports
nothing heavy: TensorFlow is loaded when something needs it.
"""

import importlib
import os
import sys

__version__ = "0.2.0"

if "tensorflow" in sys.modules and os.environ.get("TF_USE_LEGACY_KERAS") != "1":
    raise ImportError(
        "tf_tickets needs legacy Keras, but TensorFlow was imported before it: import tf_tickets first, "
        "or set TF_USE_LEGACY_KERAS=1 in the environment"
    )
os.environ["TF_USE_LEGACY_KERAS"] = "1"


def _has_avx2():
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            return any(line.startswith("flags") and "avx2" in line.split() for line in file)
    except OSError:
        return False


# The oneDNN kernels are two to three times as fast. TensorFlow's own default depends on the processor; ours is on
# wherever they were tried: for AVX2 and, where the processor has it, AVX-512. Who wants it otherwise sets the variable.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1" if _has_avx2() else "0")

_LAZY = {
    "Config": ("tf_tickets.settings.config", "Config"),
    "imp": ("tf_tickets.experiments.imp", "imp"),
    "pretrain": ("tf_tickets.experiments.pretrain", "pretrain"),
    "train": ("tf_tickets.experiments.train", "train"),
    "Ticket": ("tf_tickets.export", "Ticket"),
    **{room: (f"tf_tickets.{room}", None) for room in ("augment", "data", "models", "plugins", "pruning", "registry")},
}


def __getattr__(name):
    if name not in _LAZY:
        raise AttributeError(f"module 'tf_tickets' has no attribute {name!r}")
    module_name, attribute = _LAZY[name]
    module = importlib.import_module(module_name)
    return module if attribute is None else getattr(module, attribute)


def __dir__():
    return sorted(list(globals()) + list(_LAZY))
