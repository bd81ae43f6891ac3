"""`variables` tables of campaign and ingest files: what files call the variables, in which units, with which sign."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from phloem.io.files.own_variables import OwnVariable
from phloem.typed_tables import Section


class VariableSection(Section):
    """One variable of a file: `gpp = { name = "GPP_f", units = "gC m-2 d-1", sign = -1 }`."""

    name: str = ""
    units: str = ""
    sign: Literal[1, -1] = 1


def _table(given: Any) -> Any:
    """A text is a name."""
    return {"name": given} if isinstance(given, str) else given


Variables = dict[str, Annotated[VariableSection, BeforeValidator(_table)]]
"""By the names that the variables have here."""


def own_variables(tables: Mapping[str, VariableSection]) -> dict[str, OwnVariable]:
    """Return what the user says of variables, as readers take it."""
    return {key: OwnVariable(one.name, one.units, one.sign) for key, one in tables.items()}
