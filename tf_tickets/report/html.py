"""The parts of an HTML page that needs nothing but itself; every text that comes in is escaped here."""

import html
import re
import string
from collections.abc import Iterable, Sequence

from tf_tickets.errors import plain_xml

_SHARE = re.compile(r"[+-]?[\d.,]+ %")
_STYLE = """
:root{color-scheme:light dark;--ink:#1c1c1d;--soft:#63636a;--line:#dedee2;--paper:#ffffff;--back:#f6f6f4;--blue:#0072b2;
--claim:#eaf3f9;--shade:rgba(0,0,0,.35)}
@media (prefers-color-scheme:dark){:root{--ink:#ececee;--soft:#a2a2aa;--line:#3a3a40;--paper:#1b1b1e;--back:#121214;
--blue:#56b4e9;--claim:#16293a;--shade:rgba(255,255,255,.35)}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif;-webkit-text-size-adjust:100%;overflow-wrap:break-word}
main{max-width:1120px;margin:0 auto;padding:20px 16px 64px}
h1{font-size:1.65rem;line-height:1.2;margin:.4em 0}
h2{font-size:1.3rem;line-height:1.25;margin:2.2em 0 .5em;padding-top:.7em;border-top:2px solid var(--line)}
h3{font-size:1.05rem;margin:1.7em 0 .5em}
p{max-width:46em;margin:.6em 0}
a{color:var(--blue)}
.claim{background:var(--claim);border-left:4px solid var(--blue);padding:.65em .9em;font-size:1.08rem;max-width:none}
.soft,figcaption{color:var(--soft);font-size:.9rem}
.claims{padding:0;list-style:none}
.claims li{margin:.5em 0}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:16px;align-items:start}
figure{margin:0;padding:12px;background:var(--paper);border:1px solid var(--line);border-radius:6px;min-width:0}
figure svg{display:block;width:100%;height:auto;margin:0 auto}
figure svg text{font-family:inherit!important}
figcaption{margin-top:.6em}
figcaption b{color:var(--ink)}
.box{overflow-x:auto;border:1px solid var(--line);border-radius:6px;margin:.8em 0;max-width:100%;width:fit-content;
background:linear-gradient(to right,var(--paper) 40%,transparent) left/2.5rem 100% no-repeat local,
linear-gradient(to left,var(--paper) 40%,transparent) right/2.5rem 100% no-repeat local,
linear-gradient(to right,var(--shade),transparent) left/.9rem 100% no-repeat scroll,
linear-gradient(to left,var(--shade),transparent) right/.9rem 100% no-repeat scroll,var(--paper)}
table{border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums}
th,td{padding:.32em .7em;text-align:right;overflow-wrap:normal;border-bottom:1px solid var(--line)}
td span{white-space:nowrap}
th:first-child,td:first-child{text-align:left;overflow-wrap:break-word}
th{font-weight:600;color:var(--soft);vertical-align:bottom}
tr:last-child td{border-bottom:0}
pre{overflow-x:auto;background:var(--paper);border:1px solid var(--line);border-radius:6px;padding:.7em .9em;
font-size:.82rem;line-height:1.45;overflow-wrap:normal}
.wrapped{white-space:pre-wrap}
details{margin:1em 0}
summary{cursor:pointer;font-weight:600}
.examples{display:grid;grid-template-columns:repeat(auto-fill,minmax(136px,1fr));gap:10px}
.example{background:var(--paper);border:1px solid var(--line);border-radius:6px;padding:8px;font-size:.76rem;
line-height:1.35}
.example img{display:block;width:100%;max-width:96px;margin:0 auto 6px;image-rendering:pixelated}
.pair img{display:inline-block;width:48%;margin:0 1% 6px}
@media (max-width:520px){th,td{padding:.3em .4em}table{font-size:.8rem}}
@media (max-width:520px){main{padding:12px 10px 48px}figure{padding:8px 6px}.claim{font-size:1rem}}
@media print{:root{--ink:#000;--soft:#444;--line:#bbb;--paper:#fff;--back:#fff;--blue:#0072b2;--claim:#fff}
main{max-width:none;padding:0}figure,.example,tr{break-inside:avoid}h2,h3{break-after:avoid}.box{overflow:visible}}
"""

_PAGE = string.Template(
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>$title</title>\n'
    '<link rel="icon" href="data:,">\n<style>$style</style>\n</head>\n<body>\n<main>\n$body\n</main>\n</body>\n'
    "</html>\n"
)


def escape(text: str) -> str:
    """Text as HTML that shows it."""
    return html.escape(plain_xml(text))


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page of a title (text) and parts (HTML)."""
    return _PAGE.substitute(title=escape(title), style=_STYLE, body="\n".join(part for part in parts if part))


def paragraph(text: str, kind: str | None = None) -> str:
    """A paragraph; `kind` is a class of the style."""
    return f"<p{_class(kind)}>{escape(text)}</p>"


def heading(level: int, text: str, name: str | None = None) -> str:
    """A heading; `name` is what links point to."""
    return f"<h{level}{_id(name)}>{escape(text)}</h{level}>"


def link(name: str, text: str) -> str:
    """A link within the page."""
    return f'<a href="#{escape(name)}">{escape(text)}</a>'


def table(columns: dict[str, list[str]]) -> str:
    """A table in a box that scrolls by itself.

    Args:
      columns: dict from title to list of cells, both text.
    """
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in columns)
    # A share is not broken before its sign.
    columns = {title: [_SHARE.sub(r"<span>\g<0></span>", escape(cell)) for cell in columns[title]] for title in columns}
    lines = ("".join(f"<td>{cell}</td>" for cell in line) for line in zip(*columns.values()))
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="box" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def figure(drawing: str, number: str, caption: str) -> str:
    """A figure of a drawing (HTML), its number and its caption (text)."""
    return f"<figure>{drawing}<figcaption><b>{escape(number)}</b> {escape(caption)}</figcaption></figure>"


def figures(parts: Sequence[str]) -> str:
    """Figures side by side where there is room; nothing of nothing."""
    return f'<div class="figures">{"".join(parts)}</div>' if parts else ""


def folded(title: str, parts: Iterable[str]) -> str:
    """Parts (HTML) under a title that opens them."""
    inside = "\n".join(part for part in parts if part)
    return f"<details><summary>{escape(title)}</summary>\n{inside}\n</details>"


def code(text: str, wrapped: bool = False) -> str:
    """Text as it is, in a box that scrolls by itself, or in which long lines are `wrapped`."""
    return f'<pre tabindex="0"{_class("wrapped" if wrapped else None)}>{escape(text)}</pre>'


def _class(kind):
    return f' class="{escape(kind)}"' if kind else ""


def _id(name):
    return f' id="{escape(name)}"' if name else ""
