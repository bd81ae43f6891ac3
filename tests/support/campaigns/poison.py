"""Campaigns with faults in their worker processes, for the tests that look at what becomes of them."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from tests.support.campaigns.campaigns import PROVENANCE, command

FAULTS = Path(__file__).with_name("faults")

AGAIN = PROVENANCE | {"retried"}
"""Variables of merged.nc that tell how a result came about, lanes that were calibrated again among them."""


@dataclass
class Poison:
    """Faults that the commands of a test meet, as faults/sitecustomize.py does them.

    Attributes:
        folder: where each deed leaves a mark.
        faults: what is done; cleared, nothing is.
    """

    folder: Path
    faults: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir()

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a command that meets the faults."""
        path = os.pathsep.join([str(FAULTS), *filter(None, [os.environ.get("PYTHONPATH")])])
        return {"PYTHONPATH": path, "PHLOEM_FAULTS": json.dumps(self.faults), "PHLOEM_FAULT_MARKS": str(self.folder)}

    def done(self) -> Counter[str]:
        """Return how often each fault was done."""
        return Counter(path.name.partition(".")[0] for path in self.folder.iterdir())

    def fail(self, *arguments: object, folder: Path, seconds: float = 400.0) -> str:
        """Run phloem, which must end with status 1; return its standard error."""
        done = command(*arguments, folder=folder, seconds=seconds, **self.environment)
        assert done.returncode == 1, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stderr


def status(root: Path) -> dict[str, Any]:
    """Return what `phloem status --json` says."""
    done = command("status", root, "--json", folder=root.parent)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def rows(root: Path, cells: set[str] | None = None) -> dict[str, bytes]:
    """Return the bytes of everything that a merged product tells of some cells, or of all, provenance left out."""
    with netCDF4.Dataset(root / "merged.nc") as file:
        file.set_auto_mask(False)
        names = file["cell"][...].tolist()
        wanted = np.array([cells is None or name in cells for name in names])
        assert wanted.any()
        return {
            name: np.ascontiguousarray(np.asarray(variable[...])[wanted]).tobytes()
            for name, variable in file.variables.items()
            if variable.dimensions[:1] == ("cell",) and name not in AGAIN and variable.dtype is not str
        }


def lanes(root: Path, name: str) -> dict[tuple[str, int], Any]:
    """Return a variable of a merged product that has one value a lane, by cell and member."""
    with netCDF4.Dataset(root / "merged.nc") as file:
        file.set_auto_mask(False)
        cells, values = file["cell"][...].tolist(), np.asarray(file[name][...])
        return {
            (cell, member): values[row, member] for row, cell in enumerate(cells) for member in range(values.shape[1])
        }
