"""TOML files read into typed trees, with the assignments of the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from phloem.errors import InputError
from phloem.jobs.config.bad_keys import explain

Model = TypeVar("Model", bound=BaseModel)

TEMPLATES = Path(__file__).parents[1] / "templates"
"""Folder of the commented files that commands write to start from."""


def read_toml(path: Path, where: str) -> dict[str, Any]:
    """Read a file as a tree of keys.

    Args:
        path: the file.
        where: what to call it in messages.

    Raises:
        InputError: unreadable, or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{where}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{where} is not valid TOML: {error}") from error


def load_toml(
    path: Path | None,
    model: type[Model],
    kind: str,
    change: Callable[[dict[str, Any]], None] | None = None,
    context: Any = None,
) -> Model:
    """Read a file.

    Args:
        path: the file; None: an empty one.
        model: what it must be.
        kind: what to call it in messages.
        change: alters the tree before it is validated, as the command line asks for.
        context: what its validators are given.

    Raises:
        InputError: unreadable file, unknown key (the valid ones are named), bad value.
    """
    where = f"{kind} {path}" if path else kind
    tree = read_toml(path, where) if path else {}
    if change:
        change(tree)
    return validate(tree, model, kind, where, context)


def validate(tree: dict[str, Any], model: type[Model], kind: str, where: str, context: Any = None) -> Model:
    """Return a tree of keys as what it must be.

    Args:
        tree: the tree.
        model: what it must be.
        kind: what to call it where the fault is in no one key.
        where: where it comes from, for messages.
        context: what its validators are given.

    Raises:
        InputError: unknown key (the valid ones are named), bad value.
    """
    try:
        return model.model_validate(tree, context=context)
    except ValidationError as error:
        shape: type[BaseModel] = getattr(model, "shape_of", lambda _: model)(tree)
        lines = "\n  ".join(explain(shape, kind, tree, error))
        raise InputError(f"{where}:\n  {lines}") from error


def assign(tree: dict[str, Any], assignment: str, example: str, table: str = "") -> None:
    """Apply one `key.path=value` of the command line to a tree; the value is TOML, or a bare string.

    Args:
        tree: the tree; tables that it lacks are made, entries of lists are numbered from 0.
        assignment: the text.
        example: of such a text, for messages.
        table: the only table that can be changed: its name may be left out before a key.

    Raises:
        InputError: it is no such text, or it leads into a value that is no table.
    """
    key, equals, text = assignment.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        form = "key=value" if table else "key.path=value"
        raise InputError(f"--set {assignment!r}: write {form}, for example --set {example}")
    if table and parts[0] != table:
        parts.insert(0, table)
    inner: Any = tree
    for part in parts[:-1]:
        inner = inner[_step(inner, part, assignment)] if isinstance(inner, list) else inner.setdefault(part, {})
        if not isinstance(inner, (dict, list)):
            raise InputError(f"--set {assignment!r}: {part!r} is a value, not a section")
    inner[_step(inner, parts[-1], assignment)] = _parse(text)


def _parse(text: str) -> Any:
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return text


def _step(inner: dict[str, Any] | list[Any], part: str, assignment: str) -> Any:
    """Key of a table, or place in a list."""
    if isinstance(inner, dict):
        return part
    if not part.isdigit() or int(part) >= len(inner):
        raise InputError(f"--set {assignment!r}: {part!r} is none of the {len(inner)} entries, counted from 0")
    return int(part)


def copy_template(template: Path, path: Path) -> Path:
    """Write a commented file to start from; NAME.toml in it becomes the file's own name.

    Raises:
        InputError: the file exists, or its folder does not.
    """
    if path.exists():
        raise InputError(f"{path} exists already; name another file")
    try:
        path.write_text(template.read_text(encoding="utf-8").replace("NAME.toml", path.name), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    return path
