"""The ingest file of DifferLand_Global's data: where its files are, and which of its labels are taken."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from phloem.errors import InputError
from phloem.io.products.raw_files import expand
from phloem.io.published.published_layout import LABEL_CHOICES, PublishedChoice, PublishedPaths
from phloem.jobs.config.paths import expand_path
from phloem.jobs.config.toml_file import load_toml
from phloem.names import PREDICTOR_GROUPS
from phloem.typed_tables import Above, Section

BESIDE = {
    "co2": "co2_mm_gl*.csv",
    "valid": "era_valid*.nc",
    "index": "run_simulation_idx*.nc",
    "bulk": "assimilate_bulk_variable*.nc",
}
"""What the other files are called where they lie beside that of the maps."""

STATISTICS = {"mean": "predictor_mean*.csv", "deviation": "predictor_std*.csv"}
"""The same of the tables that need not be there."""

Group = Literal["PFT", "CLIM", "AGE", "SOIL"]


class PublishedFile(Section):
    """An ingest file of DifferLand_Global's data.

    `path` is the file of the maps; `co2`, `valid`, `index`, `bulk`, `mean` and `deviation` those beside it, found by
    their usual names where they are left out. `labels` says which variable each stream is compared with, `units` what a
    variable is whose attribute is wrong, `require` the groups of predictors that a cell must have.
    """

    path: str
    co2: str = ""
    valid: str = ""
    index: str = ""
    bulk: str = ""
    mean: str = ""
    deviation: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    units: dict[str, str] = Field(default_factory=dict)
    require: list[Group] = Field(default_factory=lambda: list(PREDICTOR_GROUPS))  # type: ignore[arg-type]
    first_month: Annotated[str, Field(pattern=r"^(\d{4}-\d{2})?$")] = ""
    memory_gb: Above = 2.0

    @field_validator("labels")
    @classmethod
    def _streams(cls, labels: dict[str, str]) -> dict[str, str]:
        for stream in labels:
            if stream not in LABEL_CHOICES:
                raise ValueError(f"there is no stream {stream}; valid are {', '.join(LABEL_CHOICES)}")
        return labels

    @property
    def choice(self) -> PublishedChoice:
        """What is taken of the files."""
        return PublishedChoice(dict(self.labels), dict(self.units), tuple(self.require), self.first_month)

    def paths(self, base: Path) -> PublishedPaths:
        """Return the files; relative paths count from `base`.

        Raises:
            InputError: a file that is not there, or several that it could be.
        """
        maps = self._file("path", "", base, base)
        found = {key: self._file(key, pattern, base, maps.parent) for key, pattern in BESIDE.items()}
        return PublishedPaths(maps, **found)

    def statistics(self, base: Path) -> tuple[Path, Path] | None:
        """Return the tables of means and standard deviations, None where there are none.

        Raises:
            InputError: as of `paths`.
        """
        beside = self._file("path", "", base, base).parent
        known = {key: getattr(self, key) or list(beside.glob(pattern)) for key, pattern in STATISTICS.items()}
        if not all(known.values()):
            return None
        mean, deviation = (self._file(key, pattern, base, beside) for key, pattern in STATISTICS.items())
        return mean, deviation

    def _file(self, key: str, pattern: str, base: Path, beside: Path) -> Path:
        given = getattr(self, key)
        if not given:
            found = expand([str(beside / pattern)], f"{key} is not said, and beside the maps there is")
            if len(found) > 1:
                raise InputError(f"{key} is not said, and there are several: {', '.join(map(str, found))}")
            return found[0]
        path = expand_path(given, base)
        if not path.is_file():
            raise InputError(f"{key} = {given!r}: no file {path}")
        return path


def load_published_file(path: Path) -> PublishedFile:
    """Read an ingest file of DifferLand_Global's data.

    Raises:
        InputError: unreadable file, unknown key (the valid ones are named), bad value.
    """
    return load_toml(path, PublishedFile, "ingest file")
