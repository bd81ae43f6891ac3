"""The attribution file of an upscaling: what is explained, and the regions of its causal networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from phloem.jobs.config.toml_file import assign, load_toml
from phloem.typed_tables import Positive, Section

KIND = "attribution file of an upscaling"
"""What messages call it."""

_Place = Annotated[float, Field(ge=-180, le=360)]
RegionBox = Annotated[list[_Place], Field(min_length=4, max_length=4)]
"""South, north, west and east, degrees."""


class DriversSection(Section):
    """The [attribution] table: what the models follow.

    Attributes:
        seed: of all draws.
        fluxes: that are explained; none: all that were modelled.
        members: models of each flux that are explained; 0: all.
        rows: months of towers that are explained, drawn evenly.
        shown: predictors whose effects are drawn, of each flux.
    """

    seed: Annotated[int, Field(ge=0)] = 0
    fluxes: list[str] = Field(default_factory=list)
    members: Annotated[int, Field(ge=0)] = 0
    rows: Positive = 1500
    shown: Annotated[int, Field(ge=1, le=8)] = 4


def _europe() -> list[str | RegionBox]:
    return ["Europe"]


class CausesSection(Section):
    """The [causes] table: networks of the means of towers.

    Attributes:
        regions: names, or south, north, west and east in degrees; none: no networks.
        deseasonalised: whether each calendar month's mean is taken off before.
        igbp: plant classes of the towers that count; none: all.
        koppen: climate classes by number, likewise.
        least_towers: towers of a month's mean.
        draws: of years, behind intervals of rank correlations.
        level: share that an interval holds.
    """

    regions: list[str | RegionBox] = Field(default_factory=_europe)
    deseasonalised: bool = False
    igbp: list[str] = Field(default_factory=list)
    koppen: list[int] = Field(default_factory=list)
    least_towers: Positive = 1
    draws: Positive = 500
    level: Annotated[float, Field(ge=0.5, lt=1)] = 0.9


class UpscalingAttributionFile(Section):
    """An attribution file of an upscaling."""

    attribution: DriversSection = DriversSection()
    causes: CausesSection = CausesSection()


def load_upscaling_attribution(path: Path | None, assignments: Sequence[str] = ()) -> UpscalingAttributionFile:
    """Read an attribution file of an upscaling.

    Args:
        path: the TOML file; None: all defaults.
        assignments: `table.key=value` texts that override the file; a key without table is of [attribution].

    Raises:
        InputError: unreadable file, unknown key (the valid ones are named), bad value.
    """

    def change(tree: dict[str, Any]) -> None:
        for assignment in assignments:
            key = assignment.partition("=")[0]
            assign(tree, assignment, "causes.deseasonalised=true", table="" if "." in key else "attribution")

    return load_toml(path, UpscalingAttributionFile, KIND, change)
