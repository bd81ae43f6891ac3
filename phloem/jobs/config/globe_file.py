"""The file of a synthetic Earth: its land, years, patches, noise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from phloem.jobs.config.toml_file import load_toml
from phloem.typed_tables import Section

BOX = (4, 5)
"""Height and width of a patch, degrees."""


class Globe(Section):
    """A synthetic Earth.

    Attributes:
        geography: `real` land, climate and plants (PHLOEM_DATA), or a `made-up` planet without any data.
        years: of the records, from January 2001 on.
        patches: how many, evenly from south to north; 0: all.
        cells: at most so many of each patch, evenly; 0: all. A patch that has them all is full.
        step: size of a cell, degrees; the real land has half a degree.
        seed: of all chance.
        towers: cells with a tower.
        noise: factor of the products' errors; 0: labels are the truth.
        holes: whether products miss months, by cloud, polar night and gaps of their records.
        test_share: of the patches that is held out.
    """

    geography: Literal["real", "made-up"] = "real"
    years: Annotated[int, Field(ge=3, le=100)] = 8
    patches: Annotated[int, Field(ge=0)] = 0
    cells: Annotated[int, Field(ge=0)] = 0
    step: float = 0.5
    seed: Annotated[int, Field(ge=0)] = 0
    towers: Annotated[int, Field(ge=0)] = 100
    noise: Annotated[float, Field(ge=0, le=10)] = 1.0
    holes: bool = True
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.1

    @field_validator("step", "noise", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _fits(self) -> Globe:
        if self.step not in (0.5, 1.0):
            raise ValueError(f"step = {self.step:g}: valid are 0.5 and 1, of which boxes of 4 x 5 degrees are whole")
        if self.geography == "real" and self.step != 0.5:
            raise ValueError(f'step = {self.step:g}: the real land has cells of 0.5 degrees; geography = "made-up"')
        if self.cells > self.most_cells:
            raise ValueError(f"cells = {self.cells}: a box of 4 x 5 degrees has {self.most_cells} of {self.step:g}")
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the cells of a box."""
        return round(BOX[0] / self.step), round(BOX[1] / self.step)

    @property
    def most_cells(self) -> int:
        """Cells of a box."""
        return self.shape[0] * self.shape[1]

    @property
    def rows(self) -> int:
        """Cells of a full patch."""
        return self.cells or self.most_cells


def load_globe_file(path: Path | None) -> Globe:
    """Read the file of a synthetic Earth; None: all as usual.

    Raises:
        InputError: unreadable file, unknown key (the valid ones are named), bad value.
    """
    return load_toml(path, Globe, "globe file")
