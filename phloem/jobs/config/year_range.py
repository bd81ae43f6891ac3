"""Years on the command line, as 2001-2010."""

from __future__ import annotations

from phloem.errors import InputError


def year_range(text: str) -> list[int]:
    """Return the first and the last year of a text, a year or two with a hyphen between them.

    Raises:
        InputError: something else stands there.
    """
    first, _, last = text.partition("-")
    try:
        years = [int(first), int(last or first)]
    except ValueError:
        raise InputError(f"--years {text!r}: a year, or two such as 2001-2010, are due") from None
    if years[0] > years[1]:
        raise InputError(f"--years {text!r}: the first year comes first")
    return years
