"""How far `advise` is, for people: which of its steps, and how long that one still takes."""

from __future__ import annotations

import time

from tf_tickets import streams

_NAMES = {
    "pretraining": "a small network learns from the pictures",
    "features": "what the network sees",
    "thumbnails": "small pictures",
    "copies": "what is there twice",
    "accuracy": "accuracy to expect",
    "curve": "accuracy by pictures per class",
    "page": "the page",
}


class Stages:
    """A live line on a terminal and in a notebook, plain lines elsewhere."""

    def __init__(self, mode: str, names: list[str]):
        """`mode`: as --progress; `names`: of `_NAMES`, the steps in their order."""
        self._live = mode == "line" or (mode == "auto" and streams.can_replace())
        self._quiet, self._names = mode == "none", names
        self._name, self._of, self._count, self._began, self._printed = "", 0, 0, 0.0, 0.0

    def begin(self, name: str, of: int = 0) -> None:
        """The next step, of so many parts; 0: it is not counted."""
        self.end()
        self._name, self._of, self._count, self._began, self._printed = name, of, 0, time.monotonic(), 0.0
        self._show()

    def done(self, parts: int = 1) -> None:
        """So many more parts of the step are done."""
        self._count += parts
        self._show()

    def end(self) -> None:
        """Ends the line of the last step."""
        if self._name and self._live and not self._quiet:
            streams.live(self._text()[: streams.columns() - 1], True)
        self._name = ""

    def _show(self):
        now = time.monotonic()
        first = not self._printed
        if self._quiet or not (first or now - self._printed > (0.1 if self._live else 10.0)):
            return
        self._printed = now
        if self._live:
            streams.live(self._text()[: streams.columns() - 1], False)
        else:
            streams.say(self._text())

    def _text(self):
        text = f"step {self._names.index(self._name) + 1} of {len(self._names)}: {_NAMES[self._name]}"
        if not self._of or not self._count:
            return text
        left = (time.monotonic() - self._began) * (self._of - self._count) / self._count
        return f"{text}, {self._count:,} of {self._of:,}, {int(left) // 60}:{int(left) % 60:02d} left"
