"""The parameters file: one row a member, 30 parameters and 8 initial pools."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from phloem.errors import InputError
from phloem.kernels.models.dalec_daily.parameters import PARAMETERS, POOLS
from phloem.names import FIRE_PARAMETERS
from phloem.names import PARAMETERS as PARAMETER_NAMES
from phloem.names import POOLS as POOL_NAMES

FILE_COLUMNS = (*PARAMETER_NAMES, *(f"initial_{pool}" for pool in POOL_NAMES))
"""Columns of a parameters file."""


BOUND_SLACK = 1e-6
"""A value written in single precision may stand this much, relatively, outside a bound."""


def read_parameters(path: Path) -> np.ndarray:
    """Read a parameters file (one row a member) and check it against the bounds.

    Returns:
        Physical values, (members, 38); fire parameters that are left out stand at the middle of their bounds.

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
    missing = [name for name in FILE_COLUMNS if name not in columns and name not in FIRE_PARAMETERS]
    if missing:
        raise InputError(f"parameters file {path}: missing columns: {', '.join(missing)}; it has: {', '.join(columns)}")
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if repeated:
        raise InputError(f"parameters file {path}: columns that stand twice: {', '.join(repeated)}")
    if not rows:
        raise InputError(f"parameters file {path}: no row; one row a member is expected")
    values = np.empty((len(rows), len(FILE_COLUMNS)))
    for column, (name, limits) in enumerate(zip(FILE_COLUMNS, (*PARAMETERS, *POOLS), strict=True)):
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
