"""TOML files read into typed trees; what is wrong in one is said by its key, with the keys that are valid there."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from phloem.errors import InputError

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
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{where}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{where} is not valid TOML: {error}") from error


def load_toml(path: Path | None, model: type[Model], kind: str, change: Callable[[dict[str, Any]], None]) -> Model:
    """Read a file.

    Args:
        path: the file; None: an empty one.
        model: what it must be.
        kind: what to call it in messages.
        change: alters the tree before it is validated, as the command line asks for.

    Raises:
        InputError: unreadable file, unknown key (the valid ones are named), bad value.
    """
    where = f"{kind} {path}" if path else kind
    tree = read_toml(path, where) if path else {}
    change(tree)
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        lines = "\n  ".join(dict.fromkeys(_explain(model, kind, one) for one in error.errors()))
        raise InputError(f"{where}:\n  {lines}") from error


def assign(section: dict[str, Any], assignment: str, example: str) -> None:
    """Apply one `key=value` of the command line to a table; the value is TOML, or a bare string.

    Raises:
        InputError: it is no such text, or the table is none.
    """
    key, equals, text = assignment.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set {assignment!r}: write key=value, for example --set {example}")
    if not isinstance(section, dict):
        raise InputError(f"--set {assignment!r}: the file has a value where a table is due")
    try:
        section[key.strip()] = tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        section[key.strip()] = text


def _explain(model: type[BaseModel], kind: str, error: Any) -> str:
    where = list(error["loc"])
    key, valid = _place(model, where)
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(where[-1]), valid, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        owners = [name for name, one in model.model_fields.items() for inner in _models(one.annotation)
                  if len(where) == 1 and where[0] in inner.model_fields]  # fmt: skip
        hint = f" It goes into [{owners[0]}]." if owners else hint
        return f"unknown key {key!r}.{hint} Valid here: {', '.join(valid)}."
    if error["type"] == "missing":
        return f"missing key {key!r}."
    shown = "" if isinstance(error["input"], dict) else f" (got {error['input']!r})"
    return f"{key or kind}: {error['msg'].removeprefix('Value error, ')}{shown}."


def _place(model: type[BaseModel], where: Sequence[str | int]) -> tuple[str, list[str]]:
    """Return a key for people, `predictors[2].name` of the second table, and the valid keys of its section."""
    key, section, valid = "", [model], list(model.model_fields)
    for part in where:
        if isinstance(part, int):
            key += f"[{part + 1}]"
            continue
        if "[" in part or (not section and part in ("str", "int", "float", "bool")):
            continue  # pydantic's name for one of several types, no key
        key += f".{part}" if key else part
        valid = list(dict.fromkeys(name for one in section for name in one.model_fields))
        fields = [one.model_fields[part] for one in section if part in one.model_fields]
        section = [inner for field in fields for inner in _models(field.annotation)]
    return key, valid


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Find the sections in the type of a field."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


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
