"""A sheet of what every corruption does."""

from __future__ import annotations

import os

from tf_tickets import storage
from tf_tickets.analysis.analysis import Analysis
from tf_tickets.lazy_modules import np
from tf_tickets.registry import ANALYSES
from tf_tickets.settings.config import Config


@ANALYSES.register("corruptions")
class Corruptions(Analysis):
    """The first test image of the data set under every corruption and severity."""

    order = 9
    text = "a sheet of evaluate's"

    def sheet(self, config: Config) -> str:
        """Writes `corruptions.png` into `config.run.out`; returns its path."""
        from tf_tickets.augment import contact_sheet
        from tf_tickets.data import sources
        from tf_tickets.evaluation import corruptions

        storage.check_writable(config.run.out)
        image, _ = sources.load(config.data.dataset, config.data.place).test(slice(1))
        rows, image = [], np.asarray(image)
        for name in corruptions.names(image.shape[3]):
            line = [corruptions.apply(name, severity, image, np.zeros(1, int)) for severity in corruptions.SEVERITIES]
            rows.append((name, np.concatenate([image, *line])))
        path = os.path.join(os.path.abspath(config.run.out), "corruptions.png")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        names = ["original", *(f"severity {severity}" for severity in corruptions.SEVERITIES)]
        storage.write_bytes(path, contact_sheet.drawn(rows, names))
        return path
