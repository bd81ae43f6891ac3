"""What is wrong in a TOML file: each fault by its key, with the keys that are valid there and the table it belongs to.

Pydantic's path to a fault has the names of alternatives among its keys (`optimiser.fast.beta2`, `path.list[str]`). They
are left out by following the path through the types, so that nothing here knows the keys of any file.
"""

from __future__ import annotations

import difflib
import json
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

Table = type[BaseModel]

NOT_A_TABLE = ("model_type", "model_attributes_type", "dict_type")
"""Pydantic's names for a value where a table is due."""


@dataclass(frozen=True)
class _Choice:
    """A table of which there are several kinds, told apart by one of its keys."""

    key: str
    sections: Mapping[str, Table]
    chosen: str = ""

    def in_words(self, names: Sequence[str]) -> str:
        return f"{self.key} = {_either([json.dumps(name) for name in names])}"


@dataclass
class _Place:
    """Where pydantic met an error: `parts` are the keys as `--set` takes them, `section` the table of the last one."""

    parts: list[str] = field(default_factory=list)
    section: Table | None = None
    choice: _Choice | None = None
    open: _Choice | None = None

    @property
    def key(self) -> str:
        return ".".join(self.parts)


def explain(model: Table, kind: str, tree: Mapping[str, Any], error: ValidationError) -> list[str]:
    """Say what is wrong in a tree of keys, one line a fault.

    Args:
        model: what the tree must be.
        kind: what to call the file where the fault is in no one key.
        tree: the tree.
        error: what pydantic says of it.
    """
    lines = (_entry(tree, fault["loc"]) + _explain(model, kind, fault) for fault in error.errors())
    return list(dict.fromkeys(lines))


def _explain(model: Table, kind: str, fault: Any) -> str:
    place = _locate(model, fault["loc"])
    key, given = place.key, fault["input"]
    if fault["type"] == "extra_forbidden" and place.section:
        return _unknown(model, place)
    if fault["type"] == "missing":
        return f"missing key {key!r}."
    if fault["type"] == "union_tag_not_found" and place.open and isinstance(given, dict):
        return f"missing key '{key}.{place.open.key}': one of {', '.join(place.open.sections)}."
    if fault["type"] == "union_tag_invalid" and place.open:
        choice = place.open
        return f"{key}.{choice.key}: must be one of {', '.join(choice.sections)} (got {given.get(choice.key)!r})."
    shown = f" (got {given!r})"
    if isinstance(given, dict):  # a table as a whole is either of the wrong type, or too much to show
        shown = " (got a table)" if fault["type"].endswith("_type") else ""
    said = "must be a table" if fault["type"] in NOT_A_TABLE else fault["msg"].removeprefix("Value error, ")
    return f"{key or kind}: {said}{shown}."


def _unknown(model: Table, place: _Place) -> str:
    """Explain a key that its table does not know."""
    assert place.section is not None
    name, valid, choice = place.parts[-1], list(place.section.model_fields), place.choice
    near = difflib.get_close_matches(name, valid, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    others = [one for one, section in choice.sections.items() if name in section.model_fields] if choice else []
    tables = list(dict.fromkeys(title for title, section in _tables(model) if name in section.model_fields))
    where = f"with {choice.in_words(others)}" if choice and others else f"into {_either(tables)}" if tables else ""
    if where:
        hint += f" {'Else it' if near else 'It'} goes {where}."
    of = f" of {choice.in_words([choice.chosen])}" if choice else ""
    return f"unknown key {place.key!r}{of}.{hint} Valid here: {', '.join(valid)}."


def _entry(tree: Mapping[str, Any], where: Sequence[str | int]) -> str:
    """Return the name of the entry of a list of tables in which a fault is, for people to find it by."""
    if len(where) > 1 and isinstance(where[1], int):
        entry = tree[str(where[0])][where[1]]
        if isinstance(entry, dict) and isinstance(entry.get("name"), str):
            return f"[[{where[0]}]] {entry['name']}: "
    return ""


def _locate(model: Table, where: Sequence[str | int]) -> _Place:
    """Follow pydantic's path to an error through the types, and leave out what is no key: the names of alternatives."""
    place, step, choice = _Place(), _read(model), None
    for part in where:
        if part == "[key]":  # the fault is in the key itself, which came before
            continue
        if len(step.types) > 1:
            choice = step.choice and _Choice(step.choice.key, step.choice.sections, str(part))
            sections = choice.sections if choice else {one.__name__: one for one in step.types if _is_section(one)}
            step = _read(sections.get(str(part), Any))
            continue
        place.parts.append(str(part))
        one = step.types[0]
        if _is_section(one):
            place.section, place.choice, choice = one, choice, None
            known = one.model_fields.get(str(part))
            step = _read(known.annotation, known.discriminator) if known else _read(Any)
        else:
            step = _read(get_args(one)[-1]) if get_origin(one) in (list, dict) else _read(Any)
    place.open = step.choice
    return place


@dataclass(frozen=True)
class _Types:
    """The types that a value may have; `choice` tells them apart, if a key of theirs does."""

    types: Sequence[Any]
    choice: _Choice | None = None


def _read(annotation: Any, discriminator: Any = None) -> _Types:
    while get_origin(annotation) is Annotated:
        annotation, *extra = get_args(annotation)
        discriminator = next((one.discriminator for one in extra if isinstance(one, FieldInfo)), discriminator)
    if get_origin(annotation) not in (Union, types.UnionType):
        return _Types([annotation])
    alternatives = [one for one in get_args(annotation) if one is not type(None)]
    if not isinstance(discriminator, str) or len(alternatives) == 1:
        return _Types(alternatives) if len(alternatives) > 1 else _read(alternatives[0])
    named = {name: one for one in alternatives for name in _names(one.model_fields[discriminator].annotation)}
    return _Types(alternatives, _Choice(discriminator, named))


def _names(annotation: Any) -> tuple[str, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _tables(model: Table, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Table]]:
    """Find all tables of a file: [one] of a kind, [[many]], [any.NAME]."""
    for name, known in model.model_fields.items():
        for one in _read(known.annotation, known.discriminator).types:
            many, inside = get_origin(one), _read(get_args(one)[-1]).types if get_args(one) else [one]
            below = (*path, name, "NAME") if many is dict else (*path, name)
            title = f"[[{'.'.join(below)}]]" if many is list else f"[{'.'.join(below)}]"
            for section in filter(_is_section, inside):
                yield title, section
                yield from _tables(section, below)


def _either(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
