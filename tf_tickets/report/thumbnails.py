"""Test images that dense and ticket tell apart, and sure mistakes, as pictures inside the page."""

import base64
import io

from PIL import Image

from tf_tickets.report import html

_LARGEST = 96


def sections(found, name):
    """What a page shows of a run's examples.

    Args:
      found: dict of `details.examples`.
      name: the run's.

    Returns:
      List of HTML, empty where there are no pictures.
    """
    return _told_apart(found, name) + _mistakes(found, name)


def _told_apart(found, name):
    if not len(found["images"]):
        return []
    gained = [place for place, label in enumerate(found["labels"]) if found["ticket"][place] == label]
    lost = [place for place in range(len(found["labels"])) if place not in gained]
    parts = [html.heading(3, "Images that dense and ticket tell apart"), html.paragraph(
        f"Of {found['total']:,} test images, the ticket alone has {int(found['gained']):,} right and the dense "
        f"network alone {int(found['lost']):,} ({name}, round {found['round']}). Those below are spread evenly "
        "over the test set, not picked. In bold: what the image is.", "soft",
    )]  # fmt: skip
    for places, text in ((gained, "Dense wrong, ticket right"), (lost, "Dense right, ticket wrong")):
        if places:
            parts += [html.paragraph(text), _gallery(_example(found, place) for place in places)]
    return parts


def _mistakes(found, name):
    if not len(found.get("mistaken_images", ())):  # earlier versions kept none
        return []
    text = (
        f"The ticket is wrong on {int(found['mistakes']):,} of {found['total']:,} test images. Below are those on "
        f"which it is surest ({name}, round {found['round']}). They are picked: they show what it confuses, or what "
        "has a wrong label. In bold: what the image is."
    )
    shown = []
    for place, confidence in enumerate(found["mistaken_confidences"]):
        said = found["classes"][found["mistaken_predictions"][place]]
        shown.append(_picture(found, "mistaken_", place, [f"ticket: {said}, {100 * confidence:.1f} %"]))
    return [html.heading(3, "The ticket's surest mistakes"), html.paragraph(text, "soft"), _gallery(shown)]


def _gallery(shown):
    return f'<div class="examples">{"".join(shown)}</div>'


def _example(found, place):
    lines = [f"{name}: {found['classes'][found[name][place]]}" for name in ("dense", "ticket")]
    return _picture(found, "", place, lines)


def _picture(found, prefix, place, lines):
    """One picture with its class and lines below; `prefix` of its arrays' names."""
    true, names = str(found["classes"][found[f"{prefix}labels"][place]]), found.get(f"{prefix}names")
    which = f"test image {int(found[f'{prefix}positions'][place])}" if names is None else str(names[place])
    alt, below = html.escape(f"{which}: {true}"), "<br>".join(html.escape(line) for line in lines)
    address = data_address(found[f"{prefix}images"][place])
    return (
        f'<div class="example"><img src="{address}" alt="{alt}" title="{alt}">'
        f"<b>{html.escape(true)}</b><br>{below}</div>"
    )


def data_address(pixels):
    """A PNG of uint8 [height, width, 1 or 3], at most 96 pixels a side, as a data address."""
    pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels[..., :3] if pixels.shape[-1] != 2 else pixels[..., 0]
    image = Image.fromarray(pixels)
    if max(image.size) > _LARGEST:
        image.thumbnail((_LARGEST, _LARGEST))
    data = io.BytesIO()
    image.save(data, format="PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode("ascii")
