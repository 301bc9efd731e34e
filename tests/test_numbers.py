"""Every number of a page is that of its rows: see quotes.py. What no row has is named in stated.py, with what it is."""

import glob
import re

import pandas
import pytest
import quoted_benchmarks
import quoted_experiments
import quoted_science
import quoted_searches
import quoted_tickets
import quoted_workers
import quotes
import stated
from conftest import ROOT

# Imported for what they register.
assert all((quoted_benchmarks, quoted_experiments, quoted_science, quoted_searches, quoted_tickets, quoted_workers))
PATTERNS = ("README.md", "docs/*.md", "docs/reference/*.md", "results/*/README.md")
PAGES = [page for pattern in PATTERNS for page in sorted(glob.glob(pattern, root_dir=ROOT))]


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def without_sections(page, text):
    """A page without what stands under the headings of `stated.SECTIONS`, up to the next heading as high."""
    for place in stated.SECTIONS:
        if place == page:
            return ""
        if place.partition("#")[0] == page:
            title = place.partition("#")[2]
            pattern = rf"^(##+) {re.escape(title)}\n.*?(?=^\1 |^## |\Z)"
            text, count = re.subn(pattern, "", text, flags=re.DOTALL | re.MULTILINE)
            assert count == 1, f"{page} has no section {title!r}"
    return text


def patterns(page):
    """The regular expressions of what a page states."""
    return [*stated.EVERYWHERE, *stated.STATED.get(page, {})]


@pytest.mark.parametrize("page", list(quotes.QUOTES))
def test_a_page_has_the_numbers_of_its_rows(page):
    assert not quotes.missing(page)


@pytest.mark.parametrize("page", PAGES)
def test_every_number_of_a_page_is_tied_to_its_rows(page):
    ties = [quote for make in quotes.QUOTES.get(page, ()) for quote in make()]
    ties += [f"~{pattern}" for pattern in patterns(page)]
    loose = quotes.untied(without_sections(page, text_of(page)), ties, tables=page.startswith("results/"))
    assert not loose, (
        "no row has these; quote them in tests/quoted_*.py, or say in tests/stated.py what they are:\n"
        + ("\n".join(loose))
    )


def test_what_is_stated_stands_on_its_page():
    whole = quotes.one_line(" ".join(map(text_of, PAGES)))
    texts = {page: quotes.one_line(text_of(page)) for page in stated.STATED}
    stale = [pattern for pattern in stated.EVERYWHERE if not re.search(pattern, whole)]
    stale += [
        f"{page}: {pattern}"
        for page, of in stated.STATED.items()
        for pattern in of
        if not re.search(pattern, texts[page])
    ]
    assert not stale and set(stated.STATED) <= set(PAGES)
    assert all(stated.EVERYWHERE.values()) and all(stated.SECTIONS.values())


PAGE = """# Page

| a | b |
|---|---|
| 1 | 61.25 % |

In `--rate=0.2` of [results](a-1.5.md) 3.5 % in 1,000 runs, 20 of them, in 12 minutes;
+2.1 points, [+1.0, +3.2], p = 0.031.

```
python --rate=0.5
```
"""


def test_numbers_outside_of_code_and_addresses_are_looked_at():
    texts = [quotes.one_line(PAGE)[number.start : number.end] for number in quotes.numbers(PAGE, tables=True)]
    assert texts == ["1", "61.25", "3.5", "1,000", "12", "+2.1", "+1.0", "+3.2", "0.031"]
    loose = quotes.untied(PAGE, ["| 61.25 % |", "~p = [\\d.]+", "12 minutes"])
    assert [words.partition(" in ")[0] for words in loose] == ["3.5", "1,000", "+2.1", "+1.0", "+3.2"]


def test_a_number_that_its_rows_have_not_is_missing_and_untied(monkeypatch, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("The ticket has 61.3 % of all.\n")
    frame = pandas.DataFrame({"accuracy": [0.613, 0.62]})
    makes = {str(page): [lambda: (f"has {quotes.percent(value, 1)}" for value in frame["accuracy"])]}
    monkeypatch.setattr(quotes, "QUOTES", makes)
    assert quotes.missing(str(page)) == ["has 62.0 %"]
    assert not quotes.untied(page.read_text(), ["has 61.3 %"]) and quotes.untied(page.read_text(), ["has 62.0 %"])
