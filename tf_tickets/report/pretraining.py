"""What a finished `pretrain` run prints and draws."""

import os

from tf_tickets import runs, storage
from tf_tickets.plotting.canvas import COLOURS, canvas, write
from tf_tickets.report import naming


def finish(folder: runs.RunFolder) -> str:
    """Writes pretraining.png and .svg into the folder of a finished `pretrain` run, unless it cannot be written.

    Returns:
      The evaluated epochs as text, and the lines that name the backbone and the figure.
    """
    rows = storage.read_csv(folder.pretraining.epochs)
    picture = folder.path("pretraining")
    writable = os.access(folder.folder, os.W_OK | os.X_OK)
    if writable:
        curves(rows, picture, "SimCLR on " + naming.settings(folder)["dataset"])
    lines = ["epoch     loss  pairs found  nearest neighbours"]
    lines += [
        f"{row['epoch']:>5s}  {float(row['train_loss']):7.4f}  {100 * float(row['train_accuracy']):9.2f} %  "
        f"{100 * float(row['neighbour_accuracy']):16.2f} %"
        for row in rows
        if row["neighbour_accuracy"]
    ]
    return "\n".join([
        *lines, f"backbone: {folder.backbone}", *([f"figure: {picture}.png and {picture}.svg"] if writable else []),
        f"next: --pretrained={folder.backbone} with imp or train",
    ])  # fmt: skip


def curves(rows: list[dict[str, str]], path_without_suffix: str, title: str) -> list[str]:
    """Writes the curves of a `pretrain` run as PNG and SVG: loss left, nearest-neighbour accuracy right.

    Args:
      rows: of its epochs.csv, as text.
      path_without_suffix: `.png` and `.svg` are appended.
      title: text above the axes.

    Returns:
      The two paths.
    """

    def draw():
        drawn = canvas(5.6, 3.2)
        loss = drawn.add_subplot(title=title, xlabel="epoch", ylabel="contrastive loss")
        loss.plot([int(r["epoch"]) for r in rows], [float(r["train_loss"]) for r in rows], color=COLOURS[0])
        loss.yaxis.label.set_color(COLOURS[0])
        seen, right = [row for row in rows if row["neighbour_accuracy"]], loss.twinx()
        right.grid(False)
        right.spines["right"].set_visible(True)
        right.plot(
            [int(r["epoch"]) for r in seen], [100 * float(r["neighbour_accuracy"]) for r in seen],
            color=COLOURS[1], marker="o", markersize=3.5,
        )  # fmt: skip
        right.set_ylabel("nearest-neighbour accuracy (%)", color=COLOURS[1])
        return drawn

    return write(draw, path_without_suffix)
