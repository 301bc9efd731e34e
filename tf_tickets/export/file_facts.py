"""What ONNX and TensorFlow Lite files say of the ticket that they were written from."""

import io
import json
import zipfile

from tf_tickets.export.ticket import LABELS, Ticket

DIGEST = "ticket_sha256"
# In the archive behind a TensorFlow Lite file, with a date of its own so that equal tickets make equal bytes.
FACTS, _DATE = "ticket_facts.json", (1980, 1, 1, 0, 0, 0)


def facts_of(ticket: Ticket) -> dict[str, str]:
    """What an ONNX or TensorFlow Lite file says of its ticket; what is no text is JSON."""
    data = ticket.data
    return {
        "labels": json.dumps(ticket.labels, ensure_ascii=False), DIGEST: ticket.content_digest,
        "dataset": data["dataset"], "density": repr(ticket.density), "temperature": repr(float(ticket.temperature)),
        "image_shape": json.dumps(data["image_shape"]), "dtype": data.get("dtype", "uint8"),
        "any_size": json.dumps(bool(data.get("any_size"))),
    }  # fmt: skip


def with_facts(network: bytes, ticket: Ticket) -> bytes:
    """A TensorFlow Lite file with `facts_of` and labels.txt in an archive behind it, which `unzip` opens."""
    file = io.BytesIO(network)
    labels = "".join(f"{label}\n" for label in ticket.labels)
    with zipfile.ZipFile(file, "a") as archive:
        for name, text in ((FACTS, json.dumps(facts_of(ticket), sort_keys=True)), (LABELS, labels)):
            archive.writestr(zipfile.ZipInfo(name, _DATE), text.encode("utf-8"))
    return file.getvalue()
