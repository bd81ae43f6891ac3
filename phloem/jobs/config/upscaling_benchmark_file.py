"""The benchmark file of an upscaling: what is scored, and the products that are checked, read into a typed tree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from phloem.jobs.config.toml_file import assign, load_toml
from phloem.typed_tables import Section

KIND = "benchmark file of an upscaling"
"""What messages call it."""


class BiomassSection(Section):
    """The [biomass] table: maps of satellites beside the biomass of the allocation.

    Attributes:
        paths: files of CCI Biomass, v5 or v6.
        non_forest: what pixels without biomass count as.
    """

    paths: Annotated[list[str], Field(min_length=1)]
    non_forest: Literal["zero", "missing"] = "zero"


class UpscalingBenchmarkSection(Section):
    """The [benchmark] table.

    Attributes:
        schemes: of cross-validation; none: all that were planned.
        ways: of learning; none: all that were learned.
        fluxes: none: all that were modelled.
        least: months from which a group counts among those that are drawn and doubted.
        product: of `phloem apply`; empty: DIR/products/fluxes.nc, where it is there; "none": not even that.
        allocation: of `phloem allocate`; empty: DIR/products/allocation.nc, where it is there; "none" likewise.
        stocks_at: when annual stocks are of.
    """

    schemes: list[str] = Field(default_factory=list)
    ways: list[str] = Field(default_factory=list)
    fluxes: list[str] = Field(default_factory=list)
    least: Annotated[int, Field(ge=6)] = 60
    product: str = ""
    allocation: str = ""
    stocks_at: Literal["year_end", "annual_mean"] = "year_end"


class UpscalingBenchmarkFile(Section):
    """A benchmark file of an upscaling."""

    benchmark: UpscalingBenchmarkSection = UpscalingBenchmarkSection()
    biomass: BiomassSection | None = None


def load_upscaling_benchmark(path: Path | None, assignments: Sequence[str] = ()) -> UpscalingBenchmarkFile:
    """Read a benchmark file of an upscaling.

    Args:
        path: the TOML file; None: all defaults.
        assignments: `table.key=value` texts that override the file; a key without table is of [benchmark].

    Raises:
        InputError: unreadable file, unknown key (the valid ones are named), bad value.
    """

    def change(tree: dict[str, Any]) -> None:
        for assignment in assignments:
            key = assignment.partition("=")[0]
            assign(tree, assignment, "product=fluxes.nc", table="" if "." in key else "benchmark")

    return load_toml(path, UpscalingBenchmarkFile, KIND, change)
