"""Images per second of training: pruned against dense, whole epochs against bare steps, ours against plain PyTorch.

    [BENCH_BATCH=10] python benchmarks/steps.py [--rounds=7] [--widths=16,64] [--out=FILE.json]

ResNet-18, 32x32, all cores, batch 100 unless the environment says otherwise. Every engine lives in a process of its own
and is stopped while another one runs; one round asks each in turn, a ratio is the median of the ratios inside each
round. PyTorch's rows need the extra `bench`; without it they are left out.
"""

import argparse
import importlib.util
import statistics

import bench
import engines

ENGINES = (
    "dense", "pruned", "direct", "in_turn", "any_order", "epochs", "epochs_none", "epochs_rand", "torch", "torch_last",
    "convolutions", "evaluation",
)  # fmt: skip
# (name, numerator, denominator, what it should be): ratios of images per second.
RATIOS = (
    ("dense / pruned step", "dense", "pruned", "at most 1.03"),
    ("pruned / PyTorch, default layout", "pruned", "torch", "at least 1.2"),
    ("pruned / PyTorch, channels-last", "pruned", "torch_last", "at least 1.0 (16), 1.1 (64)"),
    ("pruned / direct convolutions", "pruned", "direct", "more than 1"),
    ("pruned / one operation at a time", "pruned", "in_turn", "1 at batch 100, more than 1 at 10"),
    ("pruned / its convolutions alone", "pruned", "convolutions", "1 where nothing else counts"),
    ("bare steps / epoch, base", "pruned", "epochs", "at most 1.05"),
    ("bare steps / epoch, rand", "pruned", "epochs_rand", "at most 1.15"),
    ("any order / deterministic", "any_order", "pruned", "at most 1.10"),
)
PRODUCT = 2 * bench.SIDE**3


def work(width):
    """Floating-point operations of training on one image: forward, and twice that backward."""
    from tf_tickets.models import architecture, builder, costs

    facts = {"classes": 10, "image_shape": (32, 32, 3), "stem": "small", "width": width}
    model = builder.build("resnet18", **facts)
    kernels = architecture.describe("resnet18", **facts, head="linear", kappa=16.0).kernels()
    adds = sum(
        costs.multiply_adds(kernel.size, tuple(model.get_layer(kernel.name).output.shape[1:])) for kernel in kernels
    )
    return 3 * 2 * adds


def measure(width, kinds, rounds, seconds):
    """Images per second of every engine, by round."""
    living = {kind: bench.Engine([bench.HERE / "engines.py", kind, width]) for kind in kinds}
    requests = {}
    for kind, engine in living.items():
        unit = engines.IMAGES // bench.BATCH if kind.startswith("epochs") else 1
        engine.ask(unit)  # traces
        engine.ask(4 * unit if kind.startswith("epochs") else unit)
        requests[kind] = max(1, round(seconds / engine.ask(unit))) * unit
    by_engine = bench.interleaved(living, requests, rounds)
    for engine in living.values():
        engine.close()
    size = {"evaluation": 500, "product": 1}
    return {k: [requests[k] * size.get(k, bench.BATCH) / s for s in times] for k, times in by_engine.items()}


def main():
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one engine in one round")
    parser.add_argument("--widths", default="16,64")
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--out")
    given = parser.parse_args()
    kinds = [k for k in given.engines.split(",") if importlib.util.find_spec("torch") or not k.startswith("torch")]
    facts, numbers = bench.machine() | {"batch": bench.BATCH}, {}
    print(bench.header(facts))
    for width in map(int, given.widths.split(",")):
        operations = work(width)
        rates = measure(width, [*kinds, "product"], given.rounds, given.seconds)
        peak = PRODUCT * statistics.median(rates.pop("product"))
        print(f"\nResNet-18, width {width}: {operations / 1e9:.2f} GFLOP to train on an image; "
              f"matrix products reach {peak / 1e9:.0f} GFLOP/s")  # fmt: skip
        middle = {kind: statistics.median(values) for kind, values in rates.items()}
        bench.rows(("engine", "images/s", "share of peak"), [
            (k, f"{v:,.1f}", f"{100 * v * operations / (3 if k == 'evaluation' else 1) / peak:.0f} %")
            for k, v in middle.items()
        ])  # fmt: skip
        ratios = {n: bench.ratio(rates[a], rates[b]) for n, a, b, _ in RATIOS if a in rates and b in rates}
        bench.rows(("ratio", "median", "quartiles", "wanted"), [
            (n, f"{ratios[n]['median']:.3f}", "{:.3f} to {:.3f}".format(*ratios[n]["quartiles"]), wanted)
            for n, _, _, wanted in RATIOS if n in ratios
        ])  # fmt: skip
        numbers[f"width_{width}"] = {"images_per_second": middle, "ratios": ratios, "peak_gflops": peak / 1e9}
    bench.record("steps", facts, numbers, given.out)


if __name__ == "__main__":
    main()
