"""The two ways in which a command ends badly; their messages are written for the person at the keyboard."""

from __future__ import annotations

from collections.abc import Sequence


class InputError(ValueError):
    """Wrong use or wrong input: exit status 2, nothing was written.

    The message names the file, variable, cell or key at fault and, where there are any, the valid choices.
    """


class WorkError(RuntimeError):
    """Work that failed: exit status 1. The message says what failed and the command that mends it."""


def some(items: Sequence[object], between: str = ", ", most: int = 8) -> str:
    """The first of some items, and how many more there are, for a message."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return between.join(map(str, items[:most])) + more
