"""The table of docs/architecture.md: the files of tf_tickets/ that name a part of each kind. Run alone, it prints it.

A file names a part where, outside of comments and docstrings, a string is its name, has it as the value of a flag
(`--control=random`) or spells it as an operation (`cutout(16)`), and where it imports what is registered, or, as an
`__init__.py`, its module. Other words of a sentence are no names: `random` is also plain English.
"""

import ast
import functools
import pathlib
import re

PACKAGE = pathlib.Path(__file__).parents[1] / "tf_tickets"
# Kind, and one of the program's own parts.
PARTS = {
    "criterion": "magnitude", "control": "reinitialize", "kind of rewinding": "finetune", "network": "mobilenet_v2",
    "data set": "digits", "augmentation": "cutout", "evaluator": "shift", "analysis": "overlap", "command": "verify",
}  # fmt: skip
# Defaults, presets, help and rules between settings name parts by their nature.
SETTINGS = "settings/"


def files(part: str, root: pathlib.Path = PACKAGE) -> tuple[list[str], list[str]]:
    """(files that name a part, those below `SETTINGS` that do), paths below the package, the part's own first."""
    facts = _facts(root)
    ((home, registered),) = [
        (path, name) for path, (registrations, _, _) in facts.items() for name, of in registrations if part in of
    ]
    module = f"{root.name}.{home.removesuffix('.py').replace('/', '.')}"
    spelt, named = re.compile(rf"^{part}$|--\w+={part}\b|(?<!\w){part}\("), [home]
    for path, (_, texts, imports) in facts.items():
        wanted = {f"{module}.{registered}", *([module] if path.endswith("__init__.py") else [])}
        if path != home and (any(map(spelt.search, texts)) or imports & wanted):
            named.append(path)
    return [path for path in named if not path.startswith(SETTINGS)], [p for p in named if p.startswith(SETTINGS)]


def table() -> str:
    """The lines of the table."""
    lines = ["| kind | part | files that name it | in settings/ |", "|---|---|---|---|"]
    for kind, part in PARTS.items():
        cells = [", ".join(f"`{path}`" for path in paths) for paths in files(part)]
        lines.append(f"| {kind} | `{part}` | {' | '.join(cells)} |")
    return "\n".join(lines)


@functools.cache
def _facts(root):
    """Of each file: what it registers, as (name in Python, registered names), its strings, and its imports in full."""
    facts = {}
    for path in sorted(root.rglob("*.py")):
        tree, registrations, texts, imports, docstrings = ast.parse(path.read_text()), [], {}, set(), set()
        for node in ast.walk(tree):
            registrations += [(node.name, names) for names in map(_registered, getattr(node, "decorator_list", ()))]
            if isinstance(node, ast.Expr):
                docstrings.add(id(node.value))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts[id(node)] = node.value
            elif isinstance(node, ast.Import):
                imports |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imports |= {f"{node.module}.{alias.name}" for alias in node.names}
        strings = [text for key, text in texts.items() if key not in docstrings]
        facts[path.relative_to(root).as_posix()] = registrations, strings, imports
    return facts


def _registered(decorator):
    """The names that a decorator `register` is given; none of another."""
    function = getattr(decorator, "func", None)
    if "register" not in (getattr(function, "attr", None), getattr(function, "id", None)):
        return ()
    return [getattr(argument, "value", None) for argument in decorator.args]


if __name__ == "__main__":
    print(table())
