"""The parameters file: one row a member, a column for each parameter and initial pool."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from phloem.errors import InputError
from phloem.model_tables import ModelTables

BOUND_SLACK = 1e-6
"""A value written in single precision may stand this much, relatively, outside a bound."""


def read_parameters(path: Path, tables: ModelTables) -> np.ndarray:
    """Read a parameters file (one row a member) and check it against the bounds.

    Args:
        path: CSV with a header; columns are the parameters, and the initial pools as `initial_<pool>`.
        tables: of the model.

    Returns:
        Physical values, (members, unknowns); parameters that the model does not read may be left out, and stand then at
        the middle of their bounds.

    Raises:
        InputError: missing file or column, bad number, value outside its bounds.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            reader.fieldnames = columns = [name.strip() for name in reader.fieldnames or []]
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"parameters file {path}: {error}") from error
    unknowns = dict(zip(tables.unknown_names, tables.unknowns, strict=True))
    missing = [name for name, unknown in unknowns.items() if name not in columns and unknown.read]
    if missing:
        raise InputError(f"parameters file {path}: missing columns: {', '.join(missing)}; it has: {', '.join(columns)}")
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if repeated:
        raise InputError(f"parameters file {path}: columns that stand twice: {', '.join(repeated)}")
    if not rows:
        raise InputError(f"parameters file {path}: no row; one row a member is expected")
    values = np.empty((len(rows), len(unknowns)))
    for column, (name, limits) in enumerate(unknowns.items()):
        for member, row in enumerate(rows):
            text = row.get(name) if name in columns else str(0.5 * (limits.lower + limits.upper))
            try:
                value = float(text or "")
            except ValueError:
                raise InputError(f"parameters file {path}: member {member}, {name}: {text!r} is not a number") from None
            if not limits.lower * (1 - BOUND_SLACK) <= value <= limits.upper * (1 + BOUND_SLACK):
                raise InputError(
                    f"parameters file {path}: member {member}, {name} = {value:g} is outside its bounds "
                    f"[{limits.lower:g}, {limits.upper:g}] {limits.unit}"
                )
            values[member, column] = value
    return values
