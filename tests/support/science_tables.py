"""Tables in Markdown, as the pages of docs/ have them: of anything, of calibrated quantities, of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import ModuleType

from phloem.model_tables import Parameter


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a table in Markdown."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n".replace("  ", " ") for line in lines)


def number(value: float) -> str:
    """Return a number as people write it."""
    return f"{value:,.12g}" if abs(value) >= 1e-4 else f"{value:.12g}"


def unknowns(quantities: Sequence[Parameter], among: Sequence[Parameter]) -> str:
    """Return the table of some calibrated quantities.

    Args:
        quantities: its rows.
        among: all of the model, whose sources have the letters.
    """
    sources = list(dict.fromkeys(one.source for one in among))

    def letter(source: str) -> str:
        return "ABCDEFGH"[sources.index(source)]

    def meaning(quantity: Parameter) -> str:
        notes = [] if quantity.read else ["not read"]
        notes += [f"repeats after {number(quantity.period)} d"] if quantity.period else []
        return quantity.meaning + (f" ({', '.join(notes)})" if notes else "")

    rows = (
        (one.symbol, f"`{one.name}`", one.unit, number(one.lower), number(one.upper), meaning(one), letter(one.source))
        for one in quantities
    )
    legend = "".join(f"- {letter(source)}: {source}\n" for source in dict.fromkeys(one.source for one in quantities))
    head = ("symbol", "name", "unit", "lower", "upper", "what", "bounds")
    return f"{table(head, rows)}\nSource of the bounds:\n\n{legend}"


def numbers_of(rows: Sequence[tuple[str, ModuleType, str]]) -> str:
    """Return a table of numbers: what they are, and their module and name."""
    lines = ((what, number(getattr(module, name)), f"`{name}`", place(module)) for what, module, name in rows)
    return table(("number", "value", "name", "in"), lines)


def place(module: ModuleType) -> str:
    """Return where a module stands, as code."""
    return f"`{module.__name__.replace('.', '/')}.py`"
