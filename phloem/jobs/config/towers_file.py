"""The ingest file of monthly tower tables: downloads and tables, which of their files are read, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from phloem.errors import InputError
from phloem.io.drivers.oneflux_files import RESOLUTIONS
from phloem.io.files.time_axis import StampsAt
from phloem.io.flux_towers.oneflux_months import LEAST_OF_MONTH
from phloem.io.flux_towers.tower_downloads import DownloadOptions
from phloem.jobs.config.own_variables import Variables
from phloem.jobs.config.paths import expand_path
from phloem.jobs.config.toml_file import load_toml
from phloem.typed_tables import Section

Resolution = Literal["HH", "HR", "DD", "MM"]


class TowersFile(Section):
    """An ingest file of tower tables.

    `path` is a table, an archive or a folder of tables of the ONEFlux family, a CF table of tower months, or a list of
    such; `sites` are tables of places and classes; `resolutions` which tables are read, the first that a tower has;
    `completeness` the share of a month's steps that a quantity needs; `beside` are CF tables of the same towers that
    fill what is missing, such as vegetation; `stamps` and `variables` are of CF tables, as of monthly drivers.
    """

    path: str | Annotated[list[str], Field(min_length=1)]
    sites: str | list[str] = Field(default_factory=list)
    resolutions: Annotated[list[Resolution], Field(min_length=1)] = Field(default_factory=lambda: list(RESOLUTIONS))  # type: ignore[arg-type]
    completeness: Annotated[float, Field(gt=0.0, le=1.0)] = LEAST_OF_MONTH
    beside: str | list[str] = Field(default_factory=list)
    stamps: StampsAt = "begin"
    variables: Variables = Field(default_factory=dict)

    def sources(self, base: Path) -> list[Path]:
        """Return what is read; relative paths count from `base`."""
        return [expand_path(text, base) for text in _listed(self.path)]

    def tables_beside(self, base: Path) -> list[Path]:
        """Return the tables that fill what is missing; relative paths count from `base`."""
        return [expand_path(text, base) for text in _listed(self.beside)]

    def options(self, base: Path) -> DownloadOptions:
        """Return how downloads are read; relative paths count from `base`.

        Raises:
            InputError: a table of sites is not there.
        """
        texts = _listed(self.sites)
        paths = tuple(expand_path(text, base) for text in texts)
        for text, path in zip(texts, paths, strict=True):
            if not path.is_file():
                raise InputError(f"sites = {text!r}: no file {path}")
        return DownloadOptions(tuple(self.resolutions), self.completeness, paths)


def _listed(texts: str | list[str]) -> list[str]:
    return [texts] if isinstance(texts, str) else texts


def load_towers_file(path: Path) -> TowersFile:
    """Read an ingest file of tower tables.

    Raises:
        InputError: unreadable file, unknown key (the valid ones are named), bad value.
    """
    return load_toml(path, TowersFile, "ingest file")
