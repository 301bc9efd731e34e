"""The table of docs/architecture.md: the files of tf_tickets/ that name a part of each kind. Run alone, it prints it.

A file names a part where, outside of comments and docstrings, a string is its name, has it as the value of a flag
(`--control=random`) or spells it as an operation (`cutout(16)`), and where it imports what is registered, or, as an
`__init__.py`, its module. Other words of a sentence are no names: `random` is also plain English.
"""

import ast
import pathlib
import re

PACKAGE = pathlib.Path(__file__).parents[1] / "tf_tickets"
# Kind, and one of the program's own parts.
PARTS = {
    "criterion": "magnitude", "control": "random", "kind of rewinding": "finetune", "network": "mobilenet_v2",
    "data set": "digits", "augmentation": "cutout", "evaluator": "shift", "analysis": "overlap", "command": "verify",
}  # fmt: skip
# Defaults, presets, help and rules between settings name parts by their nature.
SETTINGS = "settings/"


def files(part: str, root: pathlib.Path = PACKAGE) -> tuple[list[str], list[str]]:
    """(files that name a part, those below `SETTINGS` that do), paths below the package, the part's own first."""
    trees = {path.relative_to(root).as_posix(): ast.parse(path.read_text()) for path in sorted(root.rglob("*.py"))}
    ((home, registered),) = [
        (path, node.name) for path, tree in trees.items() for node in ast.walk(tree) if _registers(node, part)
    ]
    module = f"{root.name}.{home.removesuffix('.py').replace('/', '.')}"
    named = [home]
    for path, tree in trees.items():
        imports = {f"{module}.{registered}", *([module] if path.endswith("__init__.py") else [])}
        if path != home and (_spells(tree, part) or _imported(tree) & imports):
            named.append(path)
    return [path for path in named if not path.startswith(SETTINGS)], [p for p in named if p.startswith(SETTINGS)]


def table() -> str:
    """The lines of the table."""
    lines = ["| kind | part | files that name it | in settings/ |", "|---|---|---|---|"]
    for kind, part in PARTS.items():
        cells = [", ".join(f"`{path}`" for path in paths) for paths in files(part)]
        lines.append(f"| {kind} | `{part}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def _registers(node, part):
    """Whether a node is a class or function under a decorator `register` with the part's name."""
    for call in getattr(node, "decorator_list", ()):
        called = getattr(getattr(call, "func", None), "attr", getattr(getattr(call, "func", None), "id", None))
        if called == "register" and any(getattr(argument, "value", None) == part for argument in call.args):
            return True
    return False


def _spells(tree, part):
    """Whether a string outside of docstrings is the part's name, or has it as a flag's value or an operation."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    spelt = re.compile(rf"^{part}$|--\w+={part}\b|(?<!\w){part}\(")
    return any(spelt.search(node.value) for node in texts if id(node) not in docstrings)


def _imported(tree):
    """Everything that is imported anywhere, by full names."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


if __name__ == "__main__":
    print(table())
