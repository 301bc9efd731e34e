"""The pages: links and anchors, the navigation of the site, the figures, and the cost of the paper's experiments."""

import functools
import json
import pydoc
import re
import urllib.parse

import pytest
from conftest import ROOT
from markdown_it import MarkdownIt

import tf_tickets
from tf_tickets.registry import COMMANDS
from tf_tickets.settings import policies
from tf_tickets.settings.config import options

README = ROOT / "README.md"
PAGES = [
    README,
    *sorted(ROOT.glob("C*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "docs").rglob("*.ipynb")),
    *sorted((ROOT / "results").glob("*/*.md")),
]
MARKDOWN = MarkdownIt("commonmark").enable("table")


@functools.cache
def tokens(path):
    """The Markdown tokens of a page, those inside of paragraphs and headings on one level with the others."""
    text = path.read_text()
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return [token for block in MARKDOWN.parse(text) for token in (block, *(block.children or ()))]


def targets(path):
    """Where the links and images of a page point."""
    attributes = [token.attrs.get("href", token.attrs.get("src")) for token in tokens(path)]
    return [urllib.parse.unquote(str(target)) for target in attributes if target]


@functools.cache
def anchors(path):
    """The anchors that GitHub and the site give the headings of a page."""
    blocks = tokens(path)
    titles = [
        "".join(child.content for child in inline.children if child.type in ("text", "code_inline"))
        for heading, inline in zip(blocks, blocks[1:])
        if heading.type == "heading_open"
    ]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def dead(path, root=ROOT):
    """The relative links of a page that point at nothing, and those out of the repository."""
    for target in targets(path):
        name, _, anchor = target.partition("#")
        if re.match(r"\w+:", target):
            continue
        file = (path.parent / name).resolve() if name else path
        page = file / "README.md" if file.is_dir() else file
        if not page.exists() or not file.is_relative_to(root) or (anchor and anchor not in anchors(page)):
            yield target


def navigation():
    """The pages that docs/_toc.yml names, in its order."""
    named = re.findall(r"^ *(?:- )?(root|file|glob): (\S+)$", (ROOT / "docs" / "_toc.yml").read_text(), re.MULTILINE)
    return [
        page for kind, name in named for page in (sorted(ROOT.glob(f"{name}.md")) if kind == "glob" else written(name))
    ]


def written(name):
    """The file of a page that is named without its suffix."""
    return [path for path in (ROOT / f"{name}.md", ROOT / f"{name}.ipynb") if path.exists()] or [ROOT / name]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_link_is_dead(path):
    assert not list(dead(path))


def test_dead_links_are_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A `b` c!\n\n[x](#a-b-c) [x](#a-b) [x](no.md) ![x](no.png) [x](https://no.no)\n\n```\n[x](y)\n```\n"
    )
    assert list(dead(page, tmp_path)) == ["#a-b", "no.md", "no.png"]


def test_every_page_is_in_the_navigation_once():
    assert sorted(navigation()) == sorted(PAGES)


def test_a_page_has_one_title_and_it_comes_first():
    for path in PAGES:
        levels = [token.tag for token in tokens(path) if token.type == "heading_open"]
        assert levels[0] == "h1" and levels.count("h1") == 1, path


def test_the_readme_has_at_most_200_lines():
    assert len(README.read_text().splitlines()) <= 200


def test_the_gallery_has_every_figure_with_a_command():
    gallery = ROOT / "docs" / "gallery.md"
    figures = {path.with_suffix("") for kind in ("png", "svg") for path in (ROOT / "results").rglob(f"*.{kind}")}
    shown = {(gallery.parent / target).resolve().with_suffix("") for target in targets(gallery)}
    assert figures and figures <= shown
    for section in gallery.read_text().split("\n## ")[1:]:
        assert re.search(r"\n```\npython \S", section) and "](../results/" in section, section


def test_the_reference_is_made_from_the_program(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import from_program

    made = "".join(from_program.filled(page.read_text()) for page in (ROOT / "docs" / "reference").glob("*.md"))
    assert "<!-- " not in made and "| flag | default |" not in made
    assert all(f"```{{option}} --{name}\n" in made for name in options())
    assert all(f"\n### {name}\n" in made for name in COMMANDS)
    assert all(f"\n## {path.name}\n" in made for path in (ROOT / "flags").iterdir())
    assert all(f"`tt.{name}" in made for name in dir(tf_tickets) if name != "__version__")
    named = re.findall(r"^\.\. auto(?:function|class):: (\S+)$", made, re.MULTILINE)
    assert len(named) > 20 and all(pydoc.locate(name) for name in named)


@pytest.mark.parametrize(("text", "prose"), [
    ("with --engine=ray: HOST_NAME of <x>", r"with `--engine=ray`: HOST\_NAME of \<x\>"),
    ("a chain such as 'crop(4)|flip'", r"a chain such as 'crop(4)\|flip'"),
    ("--control=one_shot, --help", "`--control=one_shot`, `--help`"),
])  # fmt: skip
def test_a_flag_s_help_is_prose(text, prose, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import from_program

    assert from_program._prose(text) == prose


def test_the_page_of_files_names_every_file_of_a_run_and_a_round():
    page = (ROOT / "docs" / "reference" / "run_folder.md").read_text()
    named = set(re.findall(r"`([\w./-]+?)/?`", page))
    sources = [(ROOT / "tf_tickets" / name).read_text() for name in ("runs.py", "round_folders.py")]
    files = set(re.findall(r'= property\(lambda self: self\.path\("([\w.]+)"\)\)', "".join(sources)))
    assert len(files) > 20 and files <= named


@pytest.mark.parametrize("name", ["README.md", "docs/reference/commands.md"])
def test_every_command_stands_in_the_table(name):
    first = re.findall(r"^\| (`.*?) \|", (ROOT / name).read_text(), re.MULTILINE)
    assert set(COMMANDS) <= set(re.findall(r"`(\w+)", " ".join(first)))


def test_the_page_of_augmentations_has_every_preset():
    page = (ROOT / "docs" / "augmentation.md").read_text()
    assert tuple(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == policies.SHORT_PRESETS
