"""The ingest file of monthly drivers: where they are, and what is not as usual in them."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from phloem.io.files.time_axis import StampsAt
from phloem.jobs.config.own_variables import Variables
from phloem.jobs.config.paths import expand_path
from phloem.jobs.config.toml_file import load_toml
from phloem.typed_tables import Section


class MonthlyFile(Section):
    """An ingest file of monthly drivers.

    `path` is a NetCDF file or a folder of them; `stamps` says where stamps stand in their months if a file has no time
    bounds; `variables` what the files call the variables, in which units, with which sign.
    """

    path: str
    stamps: StampsAt = "begin"
    variables: Variables = Field(default_factory=dict)

    def source(self, base: Path) -> Path:
        """Return the file or folder; a relative path counts from `base`."""
        return expand_path(self.path, base)


def load_monthly_file(path: Path) -> MonthlyFile:
    """Read an ingest file of monthly drivers.

    Raises:
        InputError: unreadable file, unknown key (the valid ones are named), bad value.
    """
    return load_toml(path, MonthlyFile, "ingest file")
