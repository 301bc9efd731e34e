"""Test images that dense and ticket tell apart, as pictures inside the page."""

import base64
import io

from PIL import Image

from tf_tickets.report import html

_LARGEST = 96


def gallery(found, positions):
    """Images with what they are and what the two networks say.

    Args:
      found: dict of `details.examples`.
      positions: which of them.

    Returns:
      HTML.
    """
    return f'<div class="examples">{"".join(_example(found, place) for place in positions)}</div>'


def _example(found, place):
    true, dense, ticket = (str(found["classes"][found[name][place]]) for name in ("labels", "dense", "ticket"))
    alt = f"test image {int(found['positions'][place])}: {true}"
    return (
        f'<div class="example"><img src="{data_address(found["images"][place])}" alt="{html.escape(alt)}">'
        f"<b>{html.escape(true)}</b><br>dense: {html.escape(dense)}<br>ticket: {html.escape(ticket)}</div>"
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
