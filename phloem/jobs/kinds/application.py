"""Application of fitted models of fluxes: blocks of rows or sites are units, of one lane each (docs/apply.md).

What computes is imported when it is asked for: `status` needs no kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from phloem.errors import InputError
from phloem.hpc.usable_cores import usable_cores
from phloem.io.campaign.tile_schema import TileSchema
from phloem.jobs.application.table import ApplicationTable
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.campaign.kind_of_work import CheckedInput, Estimate, KindOfWork, Lane, Near, TileWork, Units
from phloem.jobs.campaign.unit_table import NEEDED, PlannedUnit, UnitTable
from phloem.jobs.config.campaign_file import Configuration

if TYPE_CHECKING:
    from phloem.jobs.application.blocks import DriverBlock


def _table(configuration: Configuration) -> ApplicationTable:
    if not isinstance(configuration.experiment, ApplicationTable):
        raise InputError(f'experiment.name = "{configuration.experiment.name}" is no application')
    return configuration.experiment


@dataclass(frozen=True)
class CheckedBlocks:
    """An application whose drivers and models have been looked at.

    Attributes:
        configuration: its configuration.
        planned: its blocks.
    """

    configuration: Configuration
    planned: Sequence[PlannedUnit]

    def units(self, root: Path) -> Units:
        """Return the blocks."""
        return Units(UnitTable.of(self.planned, (*NEEDED, "steps")))


class Applications(KindOfWork):
    """Fluxes of places and months by fitted models."""

    name: ClassVar[str] = "application"
    doing: ClassVar[str] = "applying"
    has_page: ClassVar[bool] = False

    def lanes_of_unit(self, configuration: Configuration) -> int:
        """A block is one lane: all members of all fluxes are applied to it together."""
        return 1

    def check(self, configuration: Configuration, base: Path) -> CheckedInput:
        """Open the drivers and the models, and cut the places into blocks."""
        from phloem.io.flux_drivers.open_drivers import require_one_of
        from phloem.jobs.application.blocks import (
            block_steps,
            cut_blocks,
            lacking_columns,
            models_of,
            source_of,
            wanted_columns,
        )
        from phloem.jobs.application.product_totals import first_gap
        from phloem.jobs.progress import say

        table = _table(configuration)
        models, source = models_of(table), source_of(configuration)
        require_one_of(source, models.leaves, "leaves")
        for note in source.notes:
            say(note)
        if source.places.gridded and (gap := first_gap(source.months)):
            say(f"{table.drivers}: no month between {gap}: no totals are written (of consecutive months only)")
        if lacking := lacking_columns(table, source):
            say(f"{table.drivers}: the models see {', '.join(lacking)} too, which count as missing; {source.there()}")
        names, needed = wanted_columns(models, source)
        for text in source.survey(names):
            say(text)
        cuts = cut_blocks(source, needed, configuration.engine.workers or usable_cores())
        identity = source.identity()
        planned = [
            PlannedUnit(f"rows {first}-{stop - 1}", table.drivers, identity, steps=block_steps(source, first, stop))
            for first, stop in cuts
        ]
        return CheckedBlocks(configuration, planned)

    def moved(self, campaign: Campaign, wanted: Configuration, base: Path) -> Units | None:
        """Input stays where it was."""
        return None

    def read_unit(self, campaign: Campaign, unit: PlannedUnit) -> DriverBlock:
        """Open the drivers of a block again; its months are read when it is worked on."""
        from phloem.jobs.application.blocks import DriverBlock, source_of

        source = source_of(campaign.configuration)
        if source.identity() != unit.checksum:
            raise InputError(
                f"{unit.source}: the drivers are not what they were when the application began; remove "
                f"{campaign.paths.root} and run it again"
            )
        first, last = (int(one) for one in unit.name.removeprefix("rows ").split("-"))
        return DriverBlock(unit.name, first, last + 1, source)

    def begin(
        self,
        configuration: Configuration,
        units: Sequence[DriverBlock],
        lanes: Sequence[Lane] | None,
        devices: int,
        near: Near | None = None,
    ) -> TileWork:
        """Return some blocks at their first row."""
        from phloem.jobs.application.blocks import models_of
        from phloem.jobs.application.tile_application import TileApplication

        table = _table(configuration)
        return TileApplication(models_of(table), units, table.spread)

    @property
    def most_redraws(self) -> int:
        """Nothing is drawn."""
        return 0

    def schema(self, configuration: Configuration) -> TileSchema:
        """Return what a tile holds."""
        from phloem.io.campaign.application_schema import application_schema

        table = _table(configuration)
        return application_schema(table.fluxes, table.spread)

    def merge(self, campaign: Campaign, allow_holes: bool = False) -> Path:
        """Write the file that was asked for, and its totals beside it."""
        from phloem.jobs.application.product import write_application

        return write_application(campaign)

    def report(self, campaign: Campaign, as_is: bool = False, cells: Sequence[str] = ()) -> Path:
        """An application has no page."""
        raise InputError(f"{campaign.paths.root} is an application, which has no page: look at its file")

    def estimate(self, campaign: Campaign, rate: float | None) -> Estimate:
        """Return how often the models are applied."""
        from phloem.jobs.application.blocks import ROWS

        months = sum(campaign.cells.columns["steps"]) * ROWS
        return Estimate({"months": months}, [f"up to {months:,} months of places"])
