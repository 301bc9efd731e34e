"""How files import each other: in no circle, function-level imports included. How their names and functions read."""

import ast
import collections
import textwrap

import numpy as np
from conftest import ROOT
from scipy.sparse import csgraph


def modules(root):
    """Module name -> its file: of the package, and of the scripts and tests, which import each other by bare names."""
    found = {}
    for folder, base in (("tf_tickets", root), ("benchmarks", root / "benchmarks"), ("tests", root / "tests")):
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(base).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path, names):
    """The modules among `names` that a file imports anywhere. A module out of a package is not the package itself."""
    package = next((name for name, other in names.items() if other == path))
    if path.name != "__init__.py":
        package = package.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *filter(None, [node.module])])
            inside = {f"{source}.{alias.name}" for alias in node.names}
            found |= {name if name in names else source for name in inside}
    return found & set(names)


def in_circles(root):
    """The imports, (importer, imported), between files that import each other, be it over others."""
    files = modules(root)
    position = {name: index for index, name in enumerate(files)}
    arrows = {(name, other) for name, path in files.items() for other in imported(path, files) if other != name}
    matrix = np.zeros((len(files), len(files)), bool)
    for importer, other in arrows:
        matrix[position[importer], position[other]] = True
    _, circle = csgraph.connected_components(matrix, directed=True, connection="strong")
    return {(first, second) for first, second in arrows if circle[position[first]] == circle[position[second]]}


def test_no_two_files_import_each_other():
    circles = in_circles(ROOT)
    assert not circles, "import circles: " + ", ".join(f"{a} -> {b}" for a, b in sorted(circles))


def test_circles_are_found_over_packages_functions_and_relative_names(tmp_path):
    files = {
        "tf_tickets/__init__.py": "",
        "tf_tickets/a.py": "from tf_tickets import b",
        "tf_tickets/b.py": "def late():\n    import tf_tickets.room.c",
        "tf_tickets/room/__init__.py": "from .c import last",
        "tf_tickets/room/c.py": "from ..a import first\nfrom tf_tickets.room import d",
        "tf_tickets/room/d.py": "",
        "benchmarks/one.py": "import two\nimport tf_tickets.a",
        "benchmarks/two.py": "if True:\n    from one import x",
        "tests/three.py": "import one",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(text))
    assert in_circles(tmp_path) == {
        ("tf_tickets.a", "tf_tickets.b"), ("tf_tickets.b", "tf_tickets.room.c"), ("tf_tickets.room.c", "tf_tickets.a"),
        ("one", "two"), ("two", "one"),
    }  # fmt: skip


def test_a_module_has_a_name_of_its_own():
    """Except what belongs to a command, as commands/sweep.py and sweeps/sweep.py do."""
    rooms = collections.defaultdict(set)
    for path in (ROOT / "tf_tickets").rglob("*.py"):
        rooms[path.stem].add(path.parent.name)
    assert not {name: where for name, where in rooms.items()
                if len(where) > 1 and name != "__init__" and not (len(where) == 2 and "commands" in where)}  # fmt: skip


def bindings(tree):
    """(name, line) of every variable, parameter, attribute and caught error that a module binds."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name, node.lineno


def package_modules(folder="tf_tickets"):
    """(path below the root, syntax tree) of the package's modules, or of another folder's."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def test_variables_are_named_after_what_they_hold():
    saying_nothing = {"found", "mine", "one", "other", "others"}
    modules_read = [*package_modules(), *package_modules("benchmarks")]
    bound = [f"{path}:{line} {name}" for path, tree in modules_read for name, line in bindings(tree)
             if name in saying_nothing]  # fmt: skip
    assert not bound


# Called by position from a table, or compiled by numba, which knows no arguments by name.
BY_POSITION = {
    "tf_tickets/augment/mixing.py": {"mixup", "cutmix"},
    "tf_tickets/augment/operations.py": {"jitter"},
    "tf_tickets/runtime/compiled.py": {"convolve"},
}


def public_functions(body, in_class=False):
    """(function, its parameters without self or cls, those that can be given by position) of a module or class body."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body, in_class=True)
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            static = any(ast.unparse(decorator) == "staticmethod" for decorator in node.decorator_list)
            by_place = [*node.args.posonlyargs, *node.args.args][in_class and not static :]
            named = [*node.args.kwonlyargs, *filter(None, [node.args.vararg, node.args.kwarg])]
            yield node, [*by_place, *named], by_place


def test_public_functions_say_their_types():
    untyped = [
        f"{path}:{function.lineno} {function.name}"
        for path, tree in package_modules()
        for function, parameters, _ in public_functions(tree.body)
        if function.returns is None or any(parameter.annotation is None for parameter in parameters)
    ]
    assert not untyped


def test_more_than_four_arguments_go_by_name():
    crowded = [
        f"{path}:{function.lineno} {function.name}"
        for path, tree in package_modules()
        for function, _, by_place in public_functions(tree.body)
        if len(by_place) > 4 and function.name not in BY_POSITION.get(path, ())
    ]
    assert not crowded
