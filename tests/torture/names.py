"""Names of classes and pictures, from the folder to every output: refused before training, or shown as they are.

    cd tests; python -m torture.names FOLDER

One run for each group of names that go together, in a process of its own with all commands after it; prints one JSON
line. What is refused is tried alone.
"""

import csv
import html.parser
import io
import json
import os
import pathlib
import shutil
import sys
import time
import traceback
import xml.etree.ElementTree

import numpy as np

# Each is one class; neighbours of a group are trained together.
TAKEN = (
    ("$5_$10", "$", "b", "a$b$c", r"\frac{1}{2}", r"a\$b"),
    ("a|b", "`tick`", "``", "<script>alert(1)<script>", "&amp;", "<b>"),
    ('"quoted"', "it's", "a,b", "a;b", "100 %", "%s %d"),
    ("{}", "{0}", "{{x}}", r"back\slash", "under_score", "__dunder__"),
    ("caret^2", "#hash", "*star*", "[link](x)", "~tilde~", "!bang"),
    ("=1+1", "+1", "-1", "@SUM(A1)", "1", "01"),
    ("a>b", "a", "->", "c", "x:3", "confusion:x>y"),
    ("中文", "日本語の名前", "한국어", "Ελληνικά", "кириллица", "ไทย"),
    ("עברית", "العربية", "ltr עברית 12", "हिन्दी", "ą́", "e\u0301"),
    ("😀", "🇩🇪", "👍🏽", "e\u0301\u0302\u0303", "ﬁ", "𝔘𝔫𝔦"),
    ("Cat", "cat", "CAT", "two words", "nan", "None"),
    ("null", "true", "inf", "1e308", "aux", "con"),
    ("x" * 200, "y" * 199 + "a", "y" * 199 + "b", "中" * 66, "test.png", "a.b.c"),
    ("https:", "--seed=3", "mean", "total", "²", "١٢"),
)  # fmt: skip
GROUPS = range(len(TAKEN))
REFUSED = {
    "a line break": ("a\nb",), "a carriage return": ("a\r",), "a tab": ("a\tb",), "a terminal's code": ("\x1b[31mred",),
    "a bell": ("a\x07",), "a next line": ("a\x85b",), "a line separator": ("a\u2028b",), "a paragraph": ("a\u2029b",),
    "no width": ("a\u200bb",), "a joiner": ("a\u200db",), "a byte order mark": ("\ufeffa",),
    "a soft hyphen": ("a\u00adb",), "turned direction": ("a\u202egnp",), "an isolate": ("\u2066a\u2069",),
    "a no-break space": ("a\u00a0b",), "a wide space": ("a\u3000b",), "private use": ("\ue000",),
    "a delete": ("a\x7f",), "no text": (os.fsdecode(b"\xff\xfe"),), "spaces alone": ("   ",),
    "two forms of one name": ("\u00e9", "e\u0301"), "a space at the end": ("a", "a "), "two spaces": ("a b", "a  b"),
    "pairs that cannot be told apart": ("a", "a>b", "b>a"),
}  # fmt: skip
# Of pictures, in every taken class.
PICTURES = ("plain", "$x$ {0} %s", "a,b;c \"q\" 'q'", "中文 😀", "=1+1", "a|b`c`<i>")
SETTINGS = {
    "dataset": "folder", "model": "vgg11", "width": 2, "epochs": 1, "batch_size": 12, "rounds": 2, "rewind": "init",
    "progress": "none", "deterministic": True,
}  # fmt: skip


def draw(root, classes, seed=0):
    """A folder of pictures of these classes."""
    from PIL import Image

    generator = np.random.default_rng(seed)
    for name in classes:
        os.makedirs(os.path.join(root, name))
        for picture in PICTURES:
            pixels = generator.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(os.path.join(root, name, f"{picture}.png"))


def refusal(root, classes):
    """What is wrong with how a folder that must be refused is refused; None where nothing is."""
    from tf_tickets.data import folder
    from tf_tickets.errors import UsageError, plain

    draw(root, (*classes, "other"))
    try:
        folder.scan(str(root))
    except UsageError as error:
        line = plain(error)
        return None if line.isprintable() and "rename" in line else f"unclear: {line}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return "taken"


class Text(html.parser.HTMLParser):
    """The text and the attributes of a page, and its elements."""

    def __init__(self, page):
        super().__init__()
        self.text, self.tags = [], set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        """Keeps what it is called."""
        self.tags.add(tag)

    def handle_data(self, data):
        """Keeps the text."""
        self.text.append(data)


def words(path):
    """All texts of an SVG."""
    return {"".join(element.itertext()).strip() for element in xml.etree.ElementTree.parse(path).iter()}


def journey(folder, classes):
    """Trains on the classes and uses the ticket in every way; a list of what came out wrong."""
    import tf_tickets as tt
    from tf_tickets import runtime, storage
    from tf_tickets.evaluation import evaluate
    from tf_tickets.export import formats, predict, verify
    from tf_tickets.plotting import maps
    from tf_tickets.report import command
    from tf_tickets.settings.config import Command, Config

    root, wrong = folder / "pictures", []
    draw(root, classes)
    result = tt.imp(tt.Config.from_values(**SETTINGS, data_dir=str(root), out=str(folder / "runs")))
    run, classes = pathlib.Path(result.folder), tuple(sorted(classes))
    command.finish_run(tt.runs.RunFolder(result.folder), result.chosen)

    def check(what, good):
        if not good:
            wrong.append(what)

    ids = {f"{name}/{picture}.png" for name in classes for picture in PICTURES}
    rows = storage.read_csv(str(run / "subset.csv"))
    check("subset.csv", {row["id"] for row in rows} <= ids and len(rows) == len(ids))
    ticket = run / "ticket"
    check("verify", "have their hashes" in verify.verify(str(ticket)))
    check("ticket.json", json.loads((ticket / "ticket.json").read_text())["data"]["labels"] == list(classes))
    check("labels.txt", (ticket / "labels.txt").read_text().split("\n")[:-1] == list(classes))
    listed = tt.Ticket.load(str(ticket)).ids
    check("images.txt", set(listed) == {row["id"] for row in rows if row["part"] == "train"})
    check("runtime", runtime.load(str(ticket)).labels == classes)
    check("model card", shown_in_markdown((ticket / "MODEL_CARD.md").read_text(), classes))
    evaluated = evaluate.evaluate([str(run)], Config.from_values(**SETTINGS, data_dir=str(root)))
    evaluate.table(evaluated)
    metrics = {row["metric"] for row in storage.read_csv(str(run / "round_00" / "evaluations.csv"))}
    check("evaluations.csv", {f"accuracy:{name}" for name in classes} <= metrics)
    answers(str(run), root, classes, predict, Command, check)
    table = formats.export(str(run), ["ticket", "runtime"], Config.from_values(dataset="folder", data_dir=str(root)))
    check("export", "ticket" in table and "runtime.npz" in table)
    text, problems = command.report([str(run)], str(folder / "report"))
    check(f"report: {problems}", not problems)
    page = Text((folder / "report" / "report.html").read_text())
    check("report.html", not page.tags & {"script", "i"} and "b" in page.tags)
    cut = set(maps.shortened(classes))
    check("confusion figures", len(list((folder / "report").rglob("*confusion*.svg"))) == 3)
    for path in sorted((folder / "report").rglob("*.svg")):
        found = words(path)
        if "confusion" in path.name or "classes" in path.name:
            check(f"{path.name} lacks {ascii(cut - found)}", {name.strip() for name in cut} <= found)
    return wrong


def answers(run, root, classes, predict, command, check):
    """What predict says in its three formats."""
    paths = [os.path.join(root, name) for name in classes]
    files = {os.path.join(root, name, f"{picture}.png") for name in classes for picture in PICTURES}
    text, problems = predict.predict(run, paths, command(format="json", top_k=len(classes)))
    found = json.loads(text)
    check("predict json", not problems and {one["file"] for one in found} == files)
    check("labels in json", all({p["label"] for p in one["predictions"]} == set(classes) for one in found))
    text, _ = predict.predict(run, paths, command(format="csv", top_k=len(classes)))
    rows = list(csv.DictReader(io.StringIO(text)))
    check("predict csv", {row["file"] for row in rows} == files and {row["label"] for row in rows} == set(classes))
    text, _ = predict.predict(run, paths, command(format="table"))
    check("predict table", len(text.split("\n")) == len(files) + 1)


def shown_in_markdown(card, classes):
    """Whether the card has every class as code that Markdown shows unchanged."""
    from tf_tickets.export import card as cards

    return all(cards.code(name) in card for name in classes)


def main(folder, groups=GROUPS, refused=tuple(REFUSED)):
    """The counts, and what went wrong, as a dict."""
    began, wrong, names = time.monotonic(), {}, 0
    for number, kind in enumerate(refused):
        problem = refusal(folder / f"refused_{number}", REFUSED[kind])
        names += len(REFUSED[kind])
        if problem:
            wrong[kind] = problem
    for number in groups:
        names += len(TAKEN[number])
        place = folder / f"taken_{number}"
        place.mkdir()
        try:
            problems = journey(place, TAKEN[number])
        except BaseException as error:
            traceback.print_exc()
            problems = [f"{type(error).__name__}: {ascii(error)[:300]}"]
        if problems:
            wrong[ascii(TAKEN[number])] = problems
        shutil.rmtree(place)
    return {"names": names, "wrong": wrong, "seconds": round(time.monotonic() - began)}


if __name__ == "__main__":
    place = pathlib.Path(sys.argv[1]).resolve()
    place.mkdir(parents=True, exist_ok=True)
    chosen = [int(number) for number in sys.argv[2:]] or GROUPS
    print(json.dumps(main(place, chosen)))
