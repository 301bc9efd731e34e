"""Plants copies among pictures and counts which of them are found, and what else is.

    python benchmarks/near_duplicates.py --dataset=cifar10 --out=near_duplicates/cifar10
    python benchmarks/near_duplicates.py --dataset=folder --data_dir=photographs --out=near_duplicates/photographs

Of CIFAR-10 the pictures are those that `--per_class` and the seed as `--subset_seed` draw, of a folder all. Of each
kind ten of them, no two kinds of the same, are copied into the test. `rows.csv` has a row for each seed and kind,
`others.csv` one for each pair that was not planted, and `others.png` shows these, in its order: somebody has to say of
each whether it is the same picture.
"""

import argparse
import io
import os

import numpy as np
from PIL import Image

from tf_tickets import seeds, storage
from tf_tickets.advise import near_duplicates
from tf_tickets.data import folder, own, photographs, resaved, sources, subsets, thumbnailing
from tf_tickets.settings.data_group import Data

PLANTED = 10
ROW = ("dataset", "seed", "pictures", "kind", "planted", "found", "kind_right", "found_by_signature")
OTHER = ("dataset", "seed", "first", "second", "kind", "distance", "by_signature")


def saved_again(pixels: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """As JPEG of quality 60 to 90."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=int(draws.integers(60, 91)))
    return np.asarray(Image.open(file).convert("RGB"))


def resized(pixels: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """By 0.6 to 1.5, bicubic."""
    factor = draws.uniform(0.6, 1.5)
    height, width = (max(round(side * factor), 1) for side in pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels).resize((width, height)))


def resized_and_back(pixels: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """By 0.6 to 1.5, and to the size that it had."""
    return np.asarray(Image.fromarray(resized(pixels, draws)).resize(pixels.shape[1::-1]))


def mirrored(pixels: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """Left is right."""
    return np.ascontiguousarray(pixels[:, ::-1])


def cropped(pixels: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """By up to a tenth at each of the four sides, each drawn for itself."""
    height, width = pixels.shape[:2]
    top, bottom = (round(cut * height) for cut in draws.uniform(0, 0.1, 2))
    left, right = (round(cut * width) for cut in draws.uniform(0, 0.1, 2))
    return np.ascontiguousarray(pixels[top : height - bottom, left : width - right])


COPIES = {
    "re-saved": saved_again, "resized": resized, "resized and back": resized_and_back, "mirrored": mirrored,
    "cropped": cropped,
}  # fmt: skip
# What `pairs` may call a copy: a small crop cannot be told from a picture that was resized, nor one that is back.
NAMES = {"resized and back": {"re-saved", "same pixels"}}


def of_files(data_dir: str) -> tuple[list[str], list[np.ndarray]]:
    """(ids, pictures, uint8 [height, width, 3]) of a folder."""
    pictures = folder.scan(data_dir).pictures
    return [picture.id for picture in pictures], [photographs.pixels(str(picture.path), 3) for picture in pictures]


def planted(ids: list[str], pictures: list[np.ndarray], seed: int) -> tuple[list[str], list[np.ndarray], list[tuple]]:
    """(ids, pictures, [(row of the picture, row of its copy, kind)]) with the copies at the end."""
    draws = np.random.default_rng(seeds.fold("near duplicates", seed))
    rows = iter(draws.permutation(len(pictures)).tolist())
    names, everything, truth = list(ids), list(pictures), []
    for kind, change in COPIES.items():
        for _ in range(PLANTED):
            row = next(rows)
            truth.append((row, len(everything), kind))
            names.append(f"{kind} {ids[row]}")
            everything.append(change(pictures[row], draws))
    return names, everything, truth


def by_signature(names: list[str], pictures: list[np.ndarray], count: int) -> set[tuple[int, int]]:
    """The pairs of rows that runs and plans name, of which the first `count` train."""
    facts = [photographs.facts_of_array(picture, name, name) for name, picture in zip(names, pictures)]
    looked_at = [
        own.Picture(str(row), 0, "train" if row < count else "test", None, fact) for row, fact in enumerate(facts)
    ]
    return {(int(first.id), int(copy.id)) for copy, first in resaved.pairs(looked_at)}


def measured(dataset: str, seed: int, ids: list[str], pictures: list[np.ndarray]) -> tuple[list, list, list]:
    """(rows, rows of pairs that were not planted, thumbnails of these, side by side)."""
    names, everything, truth = planted(ids, pictures, seed)
    thumbnails = np.stack([thumbnailing.thumbnail(picture) for picture in everything])
    sizes = np.array([picture.shape[:2] for picture in everything])
    pairs = {(pair.first, pair.second): pair for pair in near_duplicates.pairs(thumbnails, sizes)}
    named = by_signature(names, everything, len(ids))
    rows = []
    for kind in COPIES:
        copies = [(first, second) for first, second, made in truth if made == kind]
        kinds = [pairs[rows_].kind for rows_ in copies if rows_ in pairs]
        rows.append({
            "dataset": dataset, "seed": seed, "pictures": len(ids), "kind": kind, "planted": len(copies),
            "found": len(kinds), "kind_right": sum(name in NAMES.get(kind, {kind}) for name in kinds),
            "found_by_signature": sum(rows_ in named for rows_ in copies),
        })  # fmt: skip
    # A copy of a picture that is there twice is a copy of both.
    origin = list(range(len(ids))) + [first for first, _, _ in truth]
    unplanted = [pair for pair in [*pairs, *sorted(named - set(pairs))] if origin[pair[0]] != origin[pair[1]]]
    described = []
    for first, second in unplanted:
        pair = pairs.get((first, second))
        described.append({
            "dataset": dataset, "seed": seed, "first": names[first], "second": names[second],
            "kind": pair.kind if pair else "", "distance": f"{pair.distance:.4f}" if pair else "",
            "by_signature": int((first, second) in named),
        })  # fmt: skip
    return rows, described, [np.concatenate(thumbnails[list(pair)], axis=1) for pair in unplanted]


def main() -> None:
    """Reads the flags, measures and writes the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--data_dir")
    parser.add_argument("--per_class", type=int, default=50)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(6)))
    parser.add_argument("--out", required=True)
    given = parser.parse_args()
    of_folder = of_files(given.data_dir) if given.dataset == "folder" else None
    source = None if of_folder else sources.load(given.dataset, given.data_dir)
    rows, unplanted, shown = [], [], []
    for seed in given.seeds:
        if of_folder:
            ids, pictures = of_folder
        else:
            drawn = Data(per_class=given.per_class, subset_seed=str(seed))
            chosen = subsets.choose(drawn, source.labels, source.ids).train
            ids, pictures = [str(source.ids[row]) for row in chosen], list(source.images(chosen))
        more = measured(given.dataset, seed, ids, pictures)
        rows, unplanted, shown = rows + more[0], unplanted + more[1], shown + more[2]
        print(*(f"seed {seed}, {row['kind']}: {row['found']} of {row['planted']}" for row in more[0]), sep="; ")
        print(f"seed {seed}: {len(more[1])} pairs that were not planted")
    os.makedirs(given.out, exist_ok=True)
    storage.write_csv(os.path.join(given.out, "rows.csv"), rows, ROW)
    storage.write_csv(os.path.join(given.out, "others.csv"), unplanted, OTHER)
    if shown:
        shown += [np.zeros_like(shown[0])] * (-len(shown) % 4)
        lines = [np.concatenate(shown[start : start + 4], axis=1) for start in range(0, len(shown), 4)]
        Image.fromarray(np.concatenate(lines)).save(os.path.join(given.out, "others.png"))


if __name__ == "__main__":
    main()
