"""The site of these pages, for Sphinx: `sphinx-build -W -c docs . build/site` in the repository's folder.

The pages are the repository's own Markdown, with the links that they have there. The parts of docs/reference that stand
behind a comment `<!-- from the program: NAME -->` are made at the build by `from_program.py`. Nothing is fetched.
"""

import pathlib
import re
import sys

DOCS = pathlib.Path(__file__).parent
ROOT = DOCS.parent
sys.path[:0] = [str(DOCS), str(ROOT)]

import from_program  # noqa: E402

import tf_tickets  # noqa: E402

project = "tf_tickets"
version = release = tf_tickets.__version__
html_title = f"tf_tickets {version}"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton", "sphinx_external_toc"]
external_toc_path = "docs/_toc.yml"
include_patterns = ["README.md", "C*.md", "docs/**", "results/*/*.md"]
exclude_patterns = [".*", "_*", "build", "data", "redrawn", "runs", "benchmarks", "flags", "tests", "tf_tickets"]

# Two hyphens stay two: they begin flags.
smartquotes = False
default_role = "literal"
myst_heading_anchors = 4
# The committed notebook has its outputs; a test executes it.
nb_execution_mode = "off"
autodoc_member_order = "bysource"
# A sentence with a colon is no type.
napoleon_custom_sections = [("Returns", "sentences")]
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True

html_theme = "furo"
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_additional_pages = {"index": "index.html"}
html_copy_source = False
html_show_copyright = False
highlight_language = "none"

_LINK = re.compile(r"\]\(([^()\s:#]+)(#[^()\s]*)?\)")


def _read(app, name, content):
    """Puts the program's own words into a page; links to folders and recipes lead to the pages that show them."""
    folder = (ROOT / name).parent

    def page_of(link):
        target = (folder / link[1]).resolve()
        if (target / "README.md").is_file():
            return f"]({link[1].rstrip('/')}/README.md{link[2] or ''})"
        if target.parent == from_program.FLAGS:
            return f"](/docs/reference/recipes.md#{target.name.replace('.', '')})"
        return link[0]

    content[0] = from_program.filled(_LINK.sub(page_of, content[0]))


def setup(app):
    """Registers what is done to each page as it is read."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}
