"""The two ways in which a command ends badly, told to the person at the keyboard; and the loss of a device."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from pathlib import Path


class InputError(ValueError):
    """Wrong use or wrong input: exit status 2, nothing was written.

    The message names the file, variable, cell or key at fault and, where there are any, the valid choices.
    """


class WorkError(RuntimeError):
    """Work that failed: exit status 1. The message says what failed and the command that mends it."""


class DeviceLost(RuntimeError):  # noqa: N818
    """The device of a worker is lost: no fault of the work, and nothing more is to be done with it in this process.

    The message names device and machine. An engine gives that device no more work.
    """


def unreadable(path: Path, error: BaseException, command: str) -> WorkError:
    """Return what is raised where a product of this program cannot be read.

    Args:
        path: of the product.
        error: what was raised.
        command: that writes it.
    """
    return WorkError(f"{path} cannot be read ({error}); `{command}` writes it")


def some(items: Sequence[object], between: str = ", ", most: int = 8) -> str:
    """The first of some items, and how many more there are, for a message."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return between.join(map(str, items[:most])) + more


def did_you_mean(name: object, valid: Collection[str]) -> str:
    """Return a question that names the nearest of the valid names, with a blank before it; empty where none is near."""
    near = difflib.get_close_matches(str(name), valid, 1, 0.4)
    return f" Did you mean {near[0]!r}?" if near else ""
