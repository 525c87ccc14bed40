"""Signatures of constructors. Those of this package are read from its source, without imports.

Importing a class imports PyTorch and Lightning, which takes seconds: too long for a typing error.
"""

import ast
import builtins
import collections.abc
import inspect
import typing
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

PACKAGE = "sr_gan"
_LIGHT = ("pydantic", "sr_gan.arguments")  # modules of annotations, which are imported
_ROOT = Path(__file__).parents[2]


def is_own(target: str) -> bool:
    """Whether a ``_target_`` is a class of this package, whose source can be read."""
    return target.partition(".")[0] == PACKAGE


def parameters(target: str) -> dict[str, Any]:
    """The arguments of a constructor and their annotations; ``**kwargs`` go on to a base class.

    Args:
        target: a class with its module, as in ``_target_``.

    Raises:
        ImportError: there is no such class of this package.
        Exception: a class of another package cannot be imported.
    """
    module, _, name = target.rpartition(".")
    if is_own(target):
        found = _lookup(module, name)
        if found is None:
            raise ImportError(f"{module} has no class {name}")
        return dict(_read(*found))
    kind = getattr(import_module(module), name)
    if not isinstance(kind, type):
        raise TypeError(f"{name} is not a class")
    return dict(_imported(kind))


def _imported(target: type) -> Iterator[tuple[str, Any]]:
    for owner in target.__mro__:
        if "__init__" not in vars(owner):
            continue
        init = inspect.unwrap(vars(owner)["__init__"])
        try:
            hints = typing.get_type_hints(init, include_extras=True)
        except NameError:
            hints = {}
        arguments = list(inspect.signature(init).parameters.values())[1:]
        for argument in arguments:
            if argument.kind not in (argument.VAR_KEYWORD, argument.VAR_POSITIONAL):
                yield argument.name, hints.get(argument.name, Any)
        if not any(argument.kind is argument.VAR_KEYWORD for argument in arguments):
            return


def _read(module: str, owner: ast.ClassDef) -> Iterator[tuple[str, Any]]:
    init = next(
        (x for x in owner.body if isinstance(x, ast.FunctionDef) and x.name == "__init__"), None
    )
    if init is not None:
        for argument in [*init.args.args[1:], *init.args.kwonlyargs]:
            yield argument.arg, _evaluated(argument.annotation, module)
    if init is None or init.args.kwarg:
        for base in owner.bases:
            if isinstance(base, ast.Name) and (found := _lookup(module, base.id)):
                yield from _read(*found)


def _lookup(module: str, name: str) -> tuple[str, ast.ClassDef] | None:
    """The module that defines a class, and the class; None for one of another package."""
    for node in _tree(module).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return module, node
        if (source := _source(node, name)) is not None and is_own(source):
            return _lookup(source, name)
    return None


def _source(node: ast.stmt, name: str) -> str | None:
    """The module from which a statement imports a name."""
    if isinstance(node, ast.ImportFrom) and name in [alias.name for alias in node.names]:
        return node.module
    return None


@cache
def _tree(module: str) -> ast.Module:
    path = _ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not file.is_file():
        raise ImportError(f"there is no module {module}")
    return ast.parse(file.read_text(encoding="utf-8"))


def _evaluated(annotation: ast.expr | None, module: str) -> Any:
    if annotation is None:
        return Any
    code = compile(ast.Expression(annotation), module, "eval")
    try:
        return eval(code, {}, _Names(module))
    except (TypeError, AttributeError, NameError, SyntaxError):
        return Any  # the class itself, once it is imported, refuses what is wrong


class _Names(dict[str, Any]):
    """The names that annotations in a module use: types, and aliases of types."""

    def __init__(self, module: str) -> None:
        super().__init__(vars(builtins) | vars(typing) | vars(collections.abc))
        self.module = module

    def __missing__(self, name: str) -> Any:
        for node in _tree(self.module).body:
            if isinstance(node, ast.Assign) and name in [ast.unparse(x) for x in node.targets]:
                return eval(compile(ast.Expression(node.value), "", "eval"), {}, self)
            source = _source(node, name)
            if source in _LIGHT:
                return getattr(import_module(source), name)
            if source is not None and is_own(source):
                return _Names(source)[name]
        # A class: no plain value is an instance of its stand-in, as none is of the class.
        return type(name, (), {"__module__": self.module})
