"""Is the trainer right: dense ResNet-18 on a fifth of CIFAR-10 by us and by plain PyTorch, the same images, over seeds.

    python benchmarks/trainer.py --data_dir=DATA [--seeds=0,1,2] [--epochs=15] [--width=16] [--fraction=0.2] [--out=F]

Both draw their own initial weights, order, crops and flips; images, normalisation, optimiser and schedule are the same.
Prints every accuracy on the 10,000 test images and the difference of the means with Welch's 95 % interval. What stands
in F is not trained again, so that seeds can be added, and a stopped benchmark goes on. Needs the extra `bench`.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile

import bench


def ours(given, seed):
    """Test accuracy after the last epoch of `train`, in a process of its own."""
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(
            [sys.executable, "-m", "tf_tickets.main", "train", "--flagfile=flags/cifar10.cfg", f"--width={given.width}",
             f"--epochs={given.epochs}", f"--fraction={given.fraction}", f"--seed={seed}", "--subset_seed=0",
             f"--eval_every={given.epochs}", "--notensorboard", "--progress=none", f"--data_dir={given.data_dir}",
             f"--out={out}"], env=bench.environment(), cwd=bench.ROOT, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        from tf_tickets.report import tables

        frame, _ = tables.collect([out])
        return float(frame["test_accuracy"].iloc[-1])


def prepare(given, path):
    """Writes images, labels and what normalises them to a file: PyTorch and TensorFlow share no process."""
    import numpy as np

    from tf_tickets.data import sources, subsets
    from tf_tickets.settings import config

    settings = config.Config.from_flagfile(
        str(bench.ROOT / "flags" / "cifar10.cfg"), fraction=given.fraction, data_dir=given.data_dir
    )
    source = sources.load("cifar10", given.data_dir)
    chosen = subsets.choose(settings.data, source.labels, source.ids, source.held).train
    test, wanted = source.test()
    np.savez(path, pixels=source.images(chosen), labels=source.labels[chosen], test=test, wanted=wanted,
             mean=np.float32(source.data_set.mean), deviation=np.float32(source.data_set.deviation))  # fmt: skip


def theirs(given, seed, path):
    """Test accuracy of the PyTorch peer, in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, f"--images={path}", f"--epochs={given.epochs}", f"--width={given.width}",
         f"--peer={seed}"], env=bench.environment(), check=True, text=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    return float(done.stdout.splitlines()[-1])


def augmented(pixels, draws):
    """Random crops of 32 after four black pixels around, and flips: uint8 [n, 32, 32, 3] in and out."""
    import numpy as np

    size, changed = pixels.shape[1], np.empty_like(pixels)
    padded = np.pad(pixels, [(0, 0), (4, 4), (4, 4), (0, 0)])
    for index, (top, left, flip) in enumerate(draws.integers(0, [9, 9, 2], (len(pixels), 3))):
        cut = padded[index, top : top + size, left : left + size]
        changed[index] = cut[:, ::-1] if flip else cut
    return changed


def train_peer(given):
    """Trains plain PyTorch with seed `given.peer`; returns the test accuracy after the last epoch."""
    import numpy as np
    import peer
    import torch

    with np.load(given.images) as archive:
        pixels, labels, test, wanted, mean, deviation = (
            archive[name] for name in ("pixels", "labels", "test", "wanted", "mean", "deviation")
        )
    draws = np.random.default_rng(given.peer)

    def tensor(part):
        normalised = (part.astype(np.float32) / np.float32(255.0) - mean) / deviation
        return torch.from_numpy(normalised.transpose(0, 3, 1, 2).copy())

    torch.manual_seed(given.peer)
    model, loss_of = peer.resnet18(given.width).to(memory_format=torch.channels_last), torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)
    for epoch in range(given.epochs):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * (1.0 + math.cos(math.pi * epoch / given.epochs))
        for batch in np.array_split(draws.permutation(len(pixels)), range(100, len(pixels), 100)):
            optimizer.zero_grad()
            loss_of(model(tensor(augmented(pixels[batch], draws))), torch.from_numpy(labels[batch])).backward()
            optimizer.step()
        print(f"peer, seed {given.peer}: epoch {epoch + 1}", file=sys.stderr)
    model.eval()
    with torch.no_grad():
        predicted = [model(tensor(test[start : start + 500])).argmax(1).numpy() for start in range(0, len(test), 500)]
    return float((np.concatenate(predicted) == wanted).mean())


def main():
    """Trains all, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--fraction", type=float, default=0.2)
    parser.add_argument("--out")
    parser.add_argument("--peer", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--images", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peer is not None:
        print(train_peer(given))
        return
    with tempfile.TemporaryDirectory() as folder:
        images = os.path.join(folder, "images.npz")
        prepare(given, images)
        trainers = {"tf_tickets": ours, "PyTorch": lambda given, seed: theirs(given, seed, images)}
        accuracies = {name: {} for name in trainers}
        for seed in given.seeds.split(","):
            for name, train in trainers.items():
                accuracies = kept(given, accuracies)
                if seed not in accuracies[name]:
                    accuracy = train(given, int(seed))
                    accuracies = kept(given, accuracies)
                    accuracies[name][seed] = accuracy
                    keep(given, accuracies)
                print(f"{name}, seed {seed}: {100 * accuracies[name][seed]:.2f} %", flush=True)
    sides = [list(side.values()) for side in accuracies.values()]
    if min(map(len, sides)) > 1:
        difference, half = welch(*sides)
        print(f"difference {100 * difference:+.2f} points, 95 % interval +-{100 * half:.2f}")
        keep(given, accuracies, difference=difference, half_interval=half)


def facts(given):
    """What the accuracies of a file depend on."""
    return {name: getattr(given, name) for name in ("epochs", "width", "fraction")}


def kept(given, accuracies):
    """Accuracies by side and seed: those of `--out`, once it is there, else `found`."""
    if not (given.out and os.path.exists(given.out)):
        return accuracies
    with open(given.out, encoding="utf-8") as file:
        there = json.load(file)
    if {name: there[name] for name in facts(given)} != facts(given):
        raise SystemExit(f"{given.out} is of other settings than {facts(given)}: give another --out")
    return {name: there[name] for name in accuracies}


def keep(given, accuracies, **result):
    """Writes settings, accuracies by side and seed, and the result to `--out`, if it is given."""
    if given.out:
        with open(given.out, "w", encoding="utf-8") as file:
            json.dump(facts(given) | accuracies | result, file, indent=1)


def welch(first, second):
    """Difference of the means and half its 95 % interval, without assuming equal variances."""
    from scipy import stats

    shares = [statistics.variance(side) / len(side) for side in (first, second)]
    freedom = sum(shares) ** 2 / sum(share**2 / (len(side) - 1) for share, side in zip(shares, (first, second)))
    return statistics.mean(first) - statistics.mean(second), stats.t.ppf(0.975, freedom) * math.sqrt(sum(shares))


if __name__ == "__main__":
    main()
