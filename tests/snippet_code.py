"""Checks Python code of pages: its syntax, and what it names and calls of the program."""

from __future__ import annotations

import ast
import importlib
import inspect
import re

from tf_tickets.settings.config import Config, options


def problems_of_python(code: str) -> list[str]:
    """What is wrong with Python code: its syntax, names that the program has not, calls that it does not take."""
    code = re.sub(r"(?m)^(>>> |\.\.\. )", "", code)
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        return [f"line {error.lineno}: {error.msg}"]
    names, found = {"tt": "tf_tickets"}, []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {(alias.asname or alias.name): alias.name for alias in node.names if alias.name == "tf_tickets"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tf_tickets":
            names |= {(alias.asname or alias.name): f"{node.module}.{alias.name}" for alias in node.names}
    for name in names.values():
        found += [] if _part(name) is not None else [f"{name} is not there"]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (dotted := _dotted(node, names)) and _part(dotted) is None:
            found.append(f"line {node.lineno}: {dotted} is not there")
        if isinstance(node, ast.Call) and (dotted := _dotted(node.func, names)) and (part := _part(dotted)) is not None:
            found += [f"line {node.lineno}: {problem}" for problem in _problems_of_call(dotted, part, node)]
    return found


def _dotted(node, names):
    """The full name of what an expression names of the program; None of others, and of attributes of what is called."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute) and (before := _dotted(node.value, names)):
        return f"{before}.{node.attr}"
    return None


def _part(dotted):
    """The module, class or function of a full name; None where there is none."""
    parts = dotted.split(".")
    part = importlib.import_module(parts[0])
    for number, name in enumerate(parts[1:], 2):
        if not hasattr(part, name):
            try:
                importlib.import_module(".".join(parts[:number]))
            except ImportError:
                return None
        part = getattr(part, name, None)
        if part is None:
            return None
    return part


def _problems_of_call(dotted, function, call):
    """What is wrong with the arguments of a call of one of the program's functions or classes."""
    given = {word.arg: word.value for word in call.keywords if word.arg}
    if function is Config or getattr(function, "__self__", None) is Config:
        for name, value in given.items():
            if name not in options():
                yield f"{dotted}: {name} is no setting"
            elif isinstance(value, ast.Constant) and value.value is not None:
                try:
                    Config.unchecked(**{name: value.value})
                except Exception as error:
                    yield f"{dotted}: {error}"
        return
    spread = any(isinstance(value, ast.Starred) for value in call.args) or any(
        word.arg is None for word in call.keywords
    )
    try:
        signature = inspect.signature(function)
        (signature.bind_partial if spread else signature.bind)(*call.args, **given)
    except TypeError as error:
        yield f"{dotted}: {error}"
        return
    except ValueError:  # built-in, without a signature
        return
    if any(parameter.name == "settings" for parameter in signature.parameters.values()):
        odd = [name for name in given if name not in signature.parameters and name not in options()]
        yield from (f"{dotted}: {name} is no setting" for name in odd)
