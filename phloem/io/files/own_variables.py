"""What a user says of the variables of files: their names there, what their values are, which way they count.

The one form of it, for towers, grid files, monthly files and raw products.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from phloem.errors import InputError


@dataclass(frozen=True)
class OwnVariable:
    """One variable, as the user says.

    Attributes:
        name: in the file; empty: one of the usual.
        units: what the values are, which outweighs the file's attribute; empty: as the file says.
        sign: -1 where the file counts the other way.
    """

    name: str = ""
    units: str = ""
    sign: int = 1


OwnVariables = Mapping[str, OwnVariable]
"""By the names that the variables have here."""

AS_USUAL = OwnVariable()


def found_names(
    own: OwnVariables,
    usual: Callable[[str], Sequence[str]],
    valid: Collection[str],
    have: Container[str],
    path: Path,
    listed: str,
    absent: Collection[str] = (),
) -> dict[str, str]:
    """Return what a file calls the variables of which the user says something, by their names here.

    Args:
        own: what the user says.
        usual: what files may call a variable.
        valid: names that there are here.
        have: variables of the file.
        path: of the file, for messages.
        listed: its variables in words, for messages.
        absent: names here of variables that the file need not have; those are left out then.

    Raises:
        InputError: a name that there is not here, a variable that the file does not have, or two names of one variable.
    """
    found: dict[str, str] = {}
    for key, one in own.items():
        if key not in valid:
            raise InputError(f"variables.{key}: there is no variable {key}; valid are {', '.join(valid)}")
        names = [one.name] if one.name else list(usual(key))
        name = next((name for name in names if name in have), "")
        if not name and key not in absent:
            sought = " or ".join(repr(each) for each in names)
            raise InputError(f"{path}: variable {key}: there is no {sought} (variables.{key}); the file has {listed}")
        twice = next((other for other, known in found.items() if known == name), "") if name else ""
        if twice:
            raise InputError(f"{path}: variable {name}: it cannot be both {twice} and {key} (variables.{key})")
        if name:
            found[key] = name
    return found
