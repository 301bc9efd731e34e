"""In which formats a ticket can be exported, for the line that ends a run."""

from importlib.util import find_spec

from tf_tickets.settings.checks import MOST_IN_C


def of(document: dict) -> list[str]:
    """The formats of float32 that a ticket can have, and for which all is installed.

    Args:
      document: of the ticket; an empty one stands for a ticket whose SavedModel is still to be written.
    """
    members = document.get("members") or [document]
    formats = ["tflite"] if _installed("ai_edge_litert") else []
    if any(member.get("program", True) is None for member in members):  # tf_tickets.runtime does not know all layers
        return formats or ["ticket"]
    formats = ["runtime", *formats, *(["onnx"] if _installed("onnx", "onnxruntime") else [])]
    return [*formats, *(["c"] if sum(member.get("weights_left", 0) for member in members) <= MOST_IN_C else [])]


def _installed(*modules):
    return all(find_spec(name) is not None for name in modules)
