"""Test images that dense and ticket tell apart, and sure mistakes, as pictures inside the page."""

import base64
import io

import numpy as np
from PIL import Image

from tf_tickets.report import html

_LARGEST = 96


def sections(examples: dict[str, np.ndarray], name: str) -> list[str]:
    """What a page shows of a run's examples.

    Args:
      examples: dict of `details.examples`.
      name: the run's.

    Returns:
      List of HTML, empty where there are no pictures.
    """
    return _told_apart(examples, name) + _mistakes(examples, name)


def _told_apart(examples, name):
    if not len(examples["images"]):
        return []
    gained = [place for place, label in enumerate(examples["labels"]) if examples["ticket"][place] == label]
    lost = [place for place in range(len(examples["labels"])) if place not in gained]
    parts = [html.heading(3, "Images that dense and ticket tell apart"), html.paragraph(
        f"Of {examples['total']:,} test images, the ticket alone has {int(examples['gained']):,} right and the dense "
        f"network alone {int(examples['lost']):,} ({name}, round {examples['round']}). Those below are spread evenly "
        "over the test set, not picked. In bold: what the image is.", "soft",
    )]  # fmt: skip
    for places, text in ((gained, "Dense wrong, ticket right"), (lost, "Dense right, ticket wrong")):
        if places:
            parts += [html.paragraph(text), _gallery(_example(examples, place) for place in places)]
    return parts


def _mistakes(examples, name):
    if not len(examples.get("mistaken_images", ())):  # earlier versions kept none
        return []
    text = (
        f"The ticket is wrong on {int(examples['mistakes']):,} of {examples['total']:,} test images. Below are those "
        f"on which it is surest ({name}, round {examples['round']}). They are picked: they show what it confuses, or "
        "what has a wrong label. In bold: what the image is."
    )
    shown = []
    for place, confidence in enumerate(examples["mistaken_confidences"]):
        said = examples["classes"][examples["mistaken_predictions"][place]]
        shown.append(_picture(examples, "mistaken_", place, [f"ticket: {said}, {100 * confidence:.1f} %"]))
    return [html.heading(3, "The ticket's surest mistakes"), html.paragraph(text, "soft"), _gallery(shown)]


def _gallery(shown):
    return f'<div class="examples">{"".join(shown)}</div>'


def _example(examples, place):
    lines = [f"{name}: {examples['classes'][examples[name][place]]}" for name in ("dense", "ticket")]
    return _picture(examples, "", place, lines)


def _picture(examples, prefix, place, lines):
    """One picture with its class and lines below; `prefix` of its arrays' names."""
    true, names = str(examples["classes"][examples[f"{prefix}labels"][place]]), examples.get(f"{prefix}names")
    which = f"test image {int(examples[f'{prefix}positions'][place])}" if names is None else str(names[place])
    alt, below = html.escape(f"{which}: {true}"), "<br>".join(html.escape(line) for line in lines)
    address = data_address(examples[f"{prefix}images"][place])
    return (
        f'<div class="example"><img src="{address}" alt="{alt}" title="{alt}">'
        f"<b>{html.escape(true)}</b><br>{below}</div>"
    )


def data_address(pixels: np.ndarray) -> str:
    """A PNG of uint8 [height, width, 1 or 3], at most 96 pixels a side, as a data address."""
    pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels[..., :3] if pixels.shape[-1] != 2 else pixels[..., 0]
    image = Image.fromarray(pixels)
    if max(image.size) > _LARGEST:
        image.thumbnail((_LARGEST, _LARGEST))
    data = io.BytesIO()
    image.save(data, format="PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode("ascii")
