"""What results/multi_worker quotes of its rows."""

import sys
from collections.abc import Iterator

from conftest import ROOT
from quotes import document, quotes_of
from torture.worker_runs import BOUNDS

from tf_tickets.data import lazy
from tf_tickets.workers import meeting

sys.path.insert(0, str(ROOT / "benchmarks"))
import paper_plan

sys.path.remove(str(ROOT / "benchmarks"))

PAGE = "results/multi_worker/README.md"
NETWORKS = {"vit_small": "ViT (width 64)", "vgg11": "VGG-11 (width 2, BatchNorm)"}


def power(value: float) -> str:
    """A small number as it stands on the page: `7.5e-8`."""
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}" if value else "0"


@quotes_of(PAGE)
def compared() -> Iterator[str]:
    recorded = document("multi_worker/workers.json")
    assert recorded["onednn"] == "1"
    yield f"TensorFlow {recorded['tensorflow'].rpartition('.')[0]}, oneDNN on."
    for row in recorded["rows"]:
        positions = " and ".join(map(str, row["mask_positions"]))
        weights = " and ".join(map(power, row["weights"]))
        losses = "{:.7f} and {:.7f}".format(*row["training_losses"][-1])
        yield (
            f"| {NETWORKS[row['network']]} | {row['workers']}, with `--strategy={row['with']}` | {positions} [0] | "
            f"{weights} [{power(BOUNDS[row['network']]).replace('.0', '')}] | {losses} |"
        )


@quotes_of(PAGE)
def memory() -> Iterator[str]:
    rows = {(row["kind"], row["pictures"], row["held"]): row for row in document("multi_worker/memory.json")["rows"]}
    yield f"TensorFlow and the package alone take {round(min(row['start'] for row in rows.values()), -1):.0f}."
    for (_, pictures, held), row in rows.items():
        peaks = " | ".join(f"{row[name]:,.0f}" for name in ("looked_at", "measured", "epoch"))
        yield f"| {pictures:,} | {held} | {peaks} | {row['images_per_core_second']:,.0f} |"
    many, few = rows["small", 100_000, "disk"], rows["small", 10_000, "disk"]
    yield f"The scan costs {(many['looked_at'] - few['looked_at']) * 1024 / 90_000:.1f} KiB a picture"
    kept = rows["small", 100_000, "memory"]
    above = kept["epoch"] - kept["looked_at"]
    yield f"cost {above / kept['pixels']:.1f} times their size at the peak"
    yield f"{kept['pixels']:.0f} MiB of them, {above:,.0f} above the scan"
    yield f"Pictures with more than {lazy.IN_MEMORY // 2**20} MiB of pixels"
    share = many["images_per_core_second"] / kept["images_per_core_second"]
    yield f"From disk an epoch of such small pictures has {round(100 * share):d} % of the speed"
    crops = [row["epoch"] - row["start"] for (kind, *_), row in rows.items() if kind == "crops"]
    yield f"Some {round(min(crops), -1):.0f} to {round(max(crops), -1):.0f} MiB are for decoding and batches"


@quotes_of(PAGE)
def meeting_in_time() -> Iterator[str]:
    assert meeting.SECONDS_TO_MEET == 300
    yield "after five minutes exit 2"


@quotes_of(PAGE)
def on_paper() -> Iterator[str]:
    hours = {name: hours for name, *_, hours in paper_plan.imagenet(10, paper_plan.RATE)}
    for model, title in {"resnet18": "ResNet-18", "resnet50": "ResNet-50"}.items():
        whole = [hours[f"{model}, {epochs} epochs"] for epochs in (90, 200)]
        machines = " / ".join(f"{value / 80:.0f} h" for value in whole)
        yield f"| {title}, 90 / 200 epochs | {whole[0]:,.0f} / {whole[1]:,.0f} | {machines} |"
