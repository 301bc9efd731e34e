"""Sparse winning tickets from few labelled images, on TensorFlow and Keras.

Importing the package switches TensorFlow to legacy Keras (tf_keras), which the pruning wrappers need, and imports
nothing heavy: TensorFlow is loaded when something needs it. TensorFlow looks at the switch when `tf.keras` is first
used. Where that was before, `tf.keras` stays what it is, and tf_keras stands beside it.
"""

import importlib
import os
import sys

__version__ = "0.3.0"

os.environ["TF_USE_LEGACY_KERAS"] = "1"


def _has_avx2():
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            return any(line.startswith("flags") and "avx2" in line.split() for line in file)
    except OSError:
        return False


# The oneDNN kernels are two to three times as fast. TensorFlow's own default depends on the processor; ours is on
# wherever they were tried: for AVX2 and, where the processor has it, AVX-512. Who wants it otherwise sets the variable.
# TensorFlow reads it once, when it loads.
if "tensorflow" not in sys.modules:
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1" if _has_avx2() else "0")

_LAZY = {
    "Config": ("tf_tickets.settings.config", "Config"),
    **{name: ("tf_tickets.finished_networks", name) for name in ("evaluate", "predict")},
    **{name: ("tf_tickets.library", name) for name in ("Run", "Report", "imp", "train")},
    "Observer": ("tf_tickets.observers", "Observer"),
    "Ticket": ("tf_tickets.export", "Ticket"),
    "pretrain": ("tf_tickets.experiments.pretrain", "pretrain"),
    **{
        room: (f"tf_tickets.{room}", None)
        for room in (
            "advise",
            "augment",
            "data",
            "errors",
            "export",
            "models",
            "plugins",
            "pruning",
            "registry",
            "report",
        )
    },
}


def __getattr__(name):
    if name not in _LAZY:
        raise AttributeError(f"module 'tf_tickets' has no attribute {name!r}")
    module_name, attribute = _LAZY[name]
    module = importlib.import_module(module_name)
    return module if attribute is None else getattr(module, attribute)


def __dir__():
    return ["__version__", *sorted(_LAZY)]
