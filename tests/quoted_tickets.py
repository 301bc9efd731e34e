"""What pages quote of tickets as files: bytes, milliseconds, memory, and labels in 8 bits."""

import functools
from collections.abc import Callable, Iterator

from quoted_searches import search
from quotes import document, joined, percent, quotes_of, rows

TICKETS = "results/tickets/README.md"
ENGINES = {
    "saved_model": "SavedModel", "tflite": "TFLite", "runtime": "runtime, timing decides",
    "runtime_sparse": "runtime, all sparse", "runtime_dense": "runtime, all dense",
    "runtime_compiled": "runtime, compiled",
}  # fmt: skip


def share_of_weights(ticket: dict) -> str:
    """The bytes of ticket.npz, and as a share of the dense weights'."""
    share = percent(ticket["ticket_npz_bytes"] / ticket["dense_weight_bytes"], 1)
    return f"{ticket['ticket_npz_bytes']:,} ({share})"


def line(title: str, tickets: list[dict], cell: Callable[[dict], str]) -> str:
    """A row of a table with a column for each ticket."""
    return f"| {' | '.join([title, *map(cell, tickets)])} |"


def latency(engine: str, batch: int, places: int | Callable[[float], int], title: str | None = None) -> tuple:
    """The row of milliseconds of an engine at a batch, with how many times as fast as the SavedModel it is."""

    def cell(ticket):
        times = ticket["engines"][engine]
        value = times[f"ms_{batch}"]
        digits = places(value) if callable(places) else places
        faster = "" if engine == "saved_model" else f", {times[f'times_faster_{batch}']:.1f}x"
        return f"{value:.{digits}f}{faster}"

    return title or ENGINES[engine], cell


def starts(ticket: dict) -> str:
    """Seconds to the first answer of the runtime and of the compiled one."""
    slow, quick, compiled = (
        ticket["engines"][name]["start"] for name in ("saved_model", "runtime", "runtime_compiled")
    )
    return f"{quick:.2f}, {slow / quick:.0f}x; {compiled:.2f}"


def memory(ticket: dict) -> str:
    return "; ".join(f"{ticket['engines'][name]['memory']:.0f}" for name in ("runtime", "runtime_compiled"))


def gzipped(kind: str) -> Callable[[dict], str]:
    return lambda ticket: f"{ticket[f'{kind}_bytes']:,} ({ticket[f'{kind}_gzip_bytes']:,})"


def millions(ticket: dict) -> str:
    return f"{ticket['multiply_adds'] / 1e6:.1f} of {ticket['multiply_adds_dense'] / 1e6:.1f}"


SIZES = [
    ("- mask (its entropy by layer)", lambda ticket: f"{ticket['mask_bytes']:,} ({ticket['mask_entropy_bytes']:,})"),
    ("- trained, rewound", lambda ticket: f"{ticket['trained_bytes']:,}, {ticket['rewound_bytes']:,}"),
    ("runtime.npz", lambda ticket: f"{ticket['runtime_bytes']:,}"),
    ("SavedModel (gzipped)", gzipped("saved_model")), ("TFLite float32 (gzipped)", gzipped("tflite")),
]  # fmt: skip


def digits(value: float) -> int:
    """Two digits of what is below one millisecond, else one place."""
    return 2 if value < 1 else 1


@quotes_of(TICKETS)
def of_one_search() -> Iterator[str]:
    tickets = document("tickets/tickets.json")
    shares = [f"{100 * ticket['density']:.1f}".removesuffix(".0") + " %" for ticket in tickets]
    yield f"| density | {' | '.join(shares)} |"
    yield line("multiply-adds, of dense (M)", tickets, millions).replace(" of 555.4", " of 555")
    yield line("prunable weights, dense float32", tickets, lambda ticket: f"{ticket['dense_weight_bytes']:,}")
    first = tickets[0]
    share = f" ({percent(first['ticket_npz_bytes'] / first['dense_weight_bytes'], 1)})"
    yield line(
        "ticket.npz", tickets, lambda ticket: f"{ticket['ticket_npz_bytes']:,}" + (share if ticket is first else "")
    )
    for title, cell in SIZES:
        yield line(title, tickets, cell)
    for engine in ENGINES:
        title, cell = latency(engine, 1, 1)
        yield line(title, tickets, cell)
    for engine, title in (
        ("saved_model", None), ("tflite", "TFLite, one by one"), ("runtime", None), ("runtime_compiled", None),
    ):  # fmt: skip
        title, cell = latency(engine, 100, digits, title)
        yield line(title, tickets, cell)
    yield line("SavedModel", tickets, lambda ticket: f"{ticket['engines']['saved_model']['start']:.1f}")
    yield line("runtime; compiled", tickets, starts)
    yield line("SavedModel", tickets, lambda ticket: f"{ticket['engines']['saved_model']['memory']:.0f}")
    yield line("runtime; compiled", tickets, memory)


@quotes_of(TICKETS)
def by_halves() -> Iterator[str]:
    tickets = document("tickets/halves.json")
    yield line("density", tickets, lambda ticket: f"{100 * ticket['density']:.3g} %")
    yield line("multiply-adds, of dense (M)", tickets, millions)
    yield line("ticket.npz", tickets, share_of_weights)
    for title, cell in SIZES:
        yield line(title, tickets, cell)
    for batch in (1, 100):
        for engine in ENGINES:
            title, cell = latency(engine, batch, 2)
            yield line(title, tickets, cell)
    yield line("SavedModel", tickets, lambda ticket: f"{ticket['engines']['saved_model']['start']:.2f}")
    yield line("runtime; compiled", tickets, starts)
    yield line("SavedModel", tickets, lambda ticket: f"{ticket['engines']['saved_model']['memory']:.0f}")
    yield line("runtime; compiled", tickets, memory)
    last = tickets[-1]["engines"]
    yield f"the compiled kernel is {last['runtime_compiled']['times_faster_1']:.1f} times as fast as the SavedModel"


@quotes_of(TICKETS)
def depthwise() -> Iterator[str]:
    tickets = document("tickets/depthwise.json")
    yield line("density", tickets, lambda ticket: percent(ticket["density"], 0))
    yield line("multiply-adds (M)", tickets, lambda ticket: f"{ticket['multiply_adds'] / 1e6:.1f}")
    yield line("weights left", tickets, lambda ticket: f"{ticket['density'] * ticket['dense_weight_bytes'] / 4:,.0f}")
    yield line("runtime.npz, bytes", tickets, lambda ticket: f"{ticket['runtime_bytes']:,}")
    yield line("TFLite float32, bytes (gzipped)", tickets, gzipped("tflite"))
    for batch in (1, 100):
        for engine in ENGINES:
            title, cell = latency(engine, batch, 2)
            yield line(title, tickets, cell)
    times = [ticket["engines"]["runtime_compiled"]["times_faster_1"] for ticket in tickets]
    of = {ticket["name"]: ticket for ticket in tickets}
    mobile = [times[index] for index, ticket in enumerate(tickets) if ticket["name"].startswith("mobilenet")]
    yield f"With numba the runtime is {min(mobile):.1f} to {max(mobile):.1f} times the SavedModel at batch 1"
    pairs = [
        ("mobilenet_dense", "resnet_dense"),
        ("mobilenet_fifth", "resnet_as_many"),
        ("mobilenet_twentieth", "resnet_as_few"),
    ]
    slower = [
        of[mobilenet]["engines"]["runtime_compiled"]["ms_1"] / of[resnet]["engines"]["runtime_compiled"]["ms_1"]
        for mobilenet, resnet in pairs
    ]
    yield f"MobileNetV2 took {min(slower):.1f} to {max(slower):.1f} times as long as ResNet-18"
    few, many = (of[name] for name in ("resnet_as_few", "mobilenet_twentieth"))
    weights = [ticket["density"] * ticket["dense_weight_bytes"] for ticket in (many, few)]
    yield (
        f"ResNet-18 needs {many['runtime_bytes'] / few['runtime_bytes']:.1f} times fewer for 3 % of its weights than "
        f"MobileNetV2 for 5 %, mostly because it has {weights[0] / weights[1]:.1f} times fewer weights left."
    )
    at_96 = [ticket["engines"]["saved_model"]["ms_1"] for name, ticket in of.items() if name.startswith("mobilenet_96")]
    yield f"the same work at every density, took {min(at_96):.1f} to {max(at_96):.1f} ms."


def shown(value: float) -> str:
    """Times as fast: whole from ten on."""
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


@quotes_of(TICKETS)
def c_files() -> Iterator[str]:
    recorded = document("tickets/c_file.json")
    tickets = recorded["tickets"]
    yield line("multiply-adds, of dense (M)", tickets, millions)
    for engine, title in (
        ("tflite", "TFLite"), ("onnx", "ONNX Runtime, dense"), ("runtime_compiled", "runtime, compiled by numba"),
        ("c gcc", "C, gcc"), ("c clang", "C, clang"), ("c_int8 gcc", "C of 8 bits, gcc"),
        ("c, -O3 alone gcc", "C, gcc with `-O3` alone (SSE2)"),
    ):  # fmt: skip
        yield line(title, tickets, functools.partial(times_of_c, engine))
    yield line("C: start to first answer, ms", tickets, lambda ticket: f"{ticket['engines']['c gcc']['start_ms']:.1f}")
    yield line("C: peak memory, MiB", tickets, lambda ticket: f"{ticket['engines']['c gcc']['peak_mib']:.1f}")
    yield line(
        "program, bytes; of 8 bits", tickets,
        lambda ticket: "; ".join(f"{ticket['engines'][name]['program_bytes']:,}" for name in ("c gcc", "c_int8 gcc")),
    )  # fmt: skip
    yield line(
        "ticket.c and ticket.h, bytes (gzipped)", tickets, lambda ticket: "{:,} ({:,})".format(*ticket["c_bytes"]["c"])
    )
    peak, loads = recorded["gflops"]["registers"], recorded["gflops"]["loads"]
    yield f"multiply-adds from registers reach {peak:.0f} GFLOP/s, and {loads:.0f} where each loads a factor"
    widest = tickets[0]
    rate = 2 * widest["multiply_adds"] / widest["engines"]["c gcc"]["least_ms"] / 1e6
    yield f"At width 64 the C file does {rate:.0f} GFLOP/s: {percent(rate / loads, 0)} of the second."


@quotes_of(TICKETS)
def depthwise_as_c() -> Iterator[str]:
    tickets = document("tickets/c_depthwise.json")["tickets"]
    yield line("multiply-adds (M)", tickets, lambda ticket: f"{ticket['multiply_adds'] / 1e6:.1f}")
    yield line("SavedModel", tickets, lambda ticket: f"{ticket['engines']['saved_model']['ms']:.2f}")
    for engine, title in {
        "tflite": "TFLite", "onnx": "ONNX Runtime, dense", "runtime_compiled": "runtime, compiled by numba",
        "c gcc": "C, gcc", "c clang": "C, clang",
    }.items():  # fmt: skip
        yield line(title, tickets, functools.partial(times_to_hundredths, engine))
    yield line("C: program, bytes", tickets, lambda ticket: f"{ticket['engines']['c gcc']['program_bytes']:,}")
    fifth, as_many, twentieth, as_few = (ticket["engines"]["c gcc"] for ticket in tickets)
    gains = [f"{row['times_faster']:.1f}" for row in (fifth, as_many, twentieth, as_few)]
    yield f"does: {gains[0]} times for {gains[1]}, and {gains[2]} for {gains[3]}."
    slower = [fifth["ms"] / as_many["ms"], twentieth["ms"] / as_few["ms"]]
    yield f"it takes {slower[0]:.1f} times as long at a fifth of the weights and {slower[1]:.1f} times at a twentieth."


def times_to_hundredths(engine: str, ticket: dict) -> str:
    """Milliseconds of an engine, and times as fast."""
    return "{ms:.2f}, {times_faster:.1f}x".format(**ticket["engines"][engine])


def times_of_c(engine: str, ticket: dict) -> str:
    """Milliseconds of an engine, times as fast as the SavedModel, and quartiles."""
    times = ticket["engines"][engine]
    places = 1 if times["ms"] > 1.5 else 2
    low, high = map(shown, times["quartiles"])
    if times["times_faster"] >= 10:
        low, high = (f"{value:.0f}" for value in times["quartiles"])
    return f"{times['ms']:.{places}f}, {shown(times['times_faster'])}x [{low}, {high}]"


@quotes_of(TICKETS)
def eight_bits() -> Iterator[str]:
    kept = document("tickets/eight_bits.json")["rows"]
    cells = {
        (row["way"], row["ticket"]): f"{percent(row['accuracy'])} ({percent(row['same_label'], 1)})" for row in kept
    }
    tickets = list(dict.fromkeys(row["ticket"] for row in kept))
    for way in dict.fromkeys(row["way"] for row in kept):
        yield f"| `{way}` | {' | '.join(cells.get((way, ticket), '') for ticket in tickets)} |"
    accuracies = {(row["way"], row["ticket"]): row["accuracy"] for row in kept}
    assert all(accuracies["float32", name] - accuracies["depthwise_8", name] < 0.01 for name in tickets)


@quotes_of("docs/tickets_on_devices.md")
def on_devices() -> Iterator[str]:
    by_width = {row["width"]: row["engines"] for row in document("tickets/c_file.json")["tickets"]}
    for width, weights in ((64, "3.5 %"), (32, "0.8 %")):
        times = [by_width[width][engine]["ms"] for engine in ("c gcc", "onnx", "saved_model")]
        cells = [f"{value:.1f}" if value > 1 else f"{value:.2f}" for value in times]
        first = by_width[width]["c gcc"]
        cells += [f"{first['start_ms']:.1f}", f"{first['peak_mib']:.0f} MiB"]
        yield f"| ResNet-18 of width {width}, {weights} of its weights | {' | '.join(cells)} |"
    engines = document("tickets/tickets.json")[0]["engines"]
    runtime, compiled, saved = (engines[name] for name in ("runtime", "runtime_compiled", "saved_model"))
    yield f"take {runtime['start']:.1f} s and {runtime['memory']:.0f} MiB, through"
    yield f"TensorFlow {saved['start']:.1f} s and {saved['memory']:.0f} MiB."
    times = [f"{engine['ms_1']:.1f} ms" for engine in (runtime, compiled, saved)]
    yield "One image then takes {}, compiled {}, the SavedModel {};".format(*times)
    density = document("tickets/tickets.json")[0]["density"]
    yield f"ResNet-18 of width 64 with {percent(density, 1)} of its weights, two cores:"


@quotes_of("docs/tickets_on_devices.md")
def exports() -> Iterator[str]:
    kept = rows("tickets/exports.csv")
    assert (kept.set_index("format").loc[["c", "c_int8"], "same_label"] == 1).all()
    for row in kept.to_dict("records"):
        apart = f"{row['difference']:.1e} | {percent(row['same_label'], 0)}"
        yield f"| `{row['format']}` | {row['bytes']:,} | {row['bytes_gzipped']:,} | {apart} |"


@quotes_of("docs/tickets_on_devices.md")
def in_8_bits() -> Iterator[str]:
    of = {(row["way"], row["ticket"]): 100 * row["accuracy"] for row in document("tickets/eight_bits.json")["rows"]}
    names = list(dict.fromkeys(name for _, name in of))
    words = [f"{of['depthwise_8', name]:.1f} of {of['float32', name]:.1f} %" for name in names]
    lite0, _, quickstart, narrow = words
    yield f"in 8 bits: {quickstart} (a quickstart's ticket), {narrow} (CIFAR-10, ResNet-18 of width 16, 4.3 % of its"
    yield f"{lite0} (EfficientNet-Lite0, 2,000 of its test images)"


@quotes_of(TICKETS)
def accuracies_of_halves() -> Iterator[str]:
    runs = search("cifar10_1pct_half_cpu").query("seed < 3").set_index(["seed", "round"])["test_accuracy"]
    yield f"| test accuracy, seed 0 | {' | '.join(percent(runs[0, index]) for index in (0, 1, 3, 5))} |"
    yield f"oneDNN kernels off: {joined([f'{100 * runs[seed, 7]:.2f}' for seed in range(3)])} % of 10,000 images."


@quotes_of(TICKETS)
def what_decides() -> Iterator[str]:
    tickets = document("tickets/tickets.json")
    faster = [ticket["engines"]["saved_model"]["start"] / ticket["engines"]["runtime"]["start"] for ticket in tickets]
    yield f"{min(faster):.0f} to {max(faster):.0f} times faster to the first prediction"
    yield f"3.5 %**: {tickets[0]['engines']['runtime_compiled']['times_faster_1']:.1f} times the SavedModel: short"
    yield f"; {tickets[0]['multiply_adds_dense'] / tickets[0]['multiply_adds']:.1f} times fewer multiply-adds"
    saved = [ticket["engines"]["saved_model"]["ms"] for ticket in document("tickets/c_file.json")["tickets"]]
    yield f"| SavedModel | {saved[0]:.1f} | {saved[1]:.2f} | {saved[2]:.2f} |"


@quotes_of("docs/tickets_on_devices.md")
def programs() -> Iterator[str]:
    sizes = [
        [ticket["engines"][name]["program_bytes"] / 1e6 for name in ("c gcc", "c_int8 gcc")]
        for ticket in document("tickets/c_file.json")["tickets"]
    ]
    yield f"of {sizes[2][0]:.2f} and {sizes[2][1]:.2f} MB for width 16 and 0.8 %."
