"""Writes what `--model=keras:NAME` knows of the networks of tf_keras.applications, by building those not listed yet.

    python tests/data/make_applications.py [NAME ...]

One JSON object a line, sorted by name.
"""

import json
import os
import sys

from tf_tickets.backend import keras
from tf_tickets.models import builder, keras_facts, keras_graph
from tf_tickets.models.families import applications
from tf_tickets.storage import write_bytes

SIDE = 96  # of images; kernels do not depend on it


def record(name: str) -> dict:
    """The JSON object of an application."""
    images = keras.Input((SIDE, SIDE, 3))
    policy = builder.Builder(keras.mixed_precision.Policy("float32"))
    graph = keras_graph.Graph(keras_graph.application(name, (SIDE, SIDE, 3)), images, policy, f"keras:{name}: ")
    return {"name": name} | keras_facts.record(images, graph.features, graph.kernels)


def known() -> dict[str, dict]:
    """What is listed, by name."""
    if not os.path.exists(applications.LISTED):
        return {}
    with open(applications.LISTED, encoding="utf-8") as file:
        return {line["name"]: line for line in map(json.loads, file)}


def main(names: list[str]) -> None:
    """Adds names to the list, or builds those anew that are named."""
    every = [name for name in dir(keras.applications) if name[0].isupper()]
    for name in names or [name for name in every if name not in known()]:
        listed = known() | {name: record(name)}
        keras.backend.clear_session()
        lines = [json.dumps(listed[key], separators=(",", ":")) for key in sorted(listed)]
        write_bytes(applications.LISTED, "".join(f"{line}\n" for line in lines).encode("utf-8"))
        print(name, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
