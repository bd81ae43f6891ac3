"""Simulation of a finished campaign: each cell is a unit, each of the members that are run a lane.

What computes is imported when it is asked for: `status` needs no kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from phloem.errors import InputError
from phloem.io.campaign.tile_schema import TileSchema
from phloem.jobs.campaign.campaign import Campaign, open_campaign
from phloem.jobs.campaign.kind_of_work import CheckedInput, Estimate, KindOfWork, Lane, Near, TileWork, Units
from phloem.jobs.campaign.unit_table import PlannedUnit, UnitTable
from phloem.jobs.config.campaign_file import Configuration
from phloem.jobs.simulation.table import SimulationTable

if TYPE_CHECKING:
    from phloem.jobs.simulation.runs import CellRun


def table_of(configuration: Configuration) -> SimulationTable:
    """Return the table of a simulation.

    Raises:
        InputError: it is none.
    """
    if not isinstance(configuration.experiment, SimulationTable):
        raise InputError(f'experiment.name = "{configuration.experiment.name}" is no simulation')
    return configuration.experiment


@lru_cache(maxsize=1)
def _opened(root: str) -> Campaign:
    """Open the campaign that is simulated, once a process: its plan is frozen, and may have very many cells."""
    return open_campaign(Path(root))


@dataclass(frozen=True)
class CheckedRuns:
    """A simulation whose drivers and parameters have all been read.

    Attributes:
        configuration: its configuration.
        planned: its units.
    """

    configuration: Configuration
    planned: Sequence[PlannedUnit]

    def units(self, root: Path) -> Units:
        """Return the cells."""
        return Units(UnitTable.of(self.planned))


class Simulations(KindOfWork):
    """Fluxes and pools of cells, with parameters that a campaign has found."""

    name: ClassVar[str] = "simulation"
    doing: ClassVar[str] = "simulating"
    has_page: ClassVar[bool] = False

    def check(self, configuration: Configuration, base: Path) -> CheckedInput:
        """Read the drivers and parameters of all cells."""
        from phloem.jobs.progress import ProgressBar, say
        from phloem.jobs.simulation.runs import open_source, planned_run, say_what_lacks

        table = table_of(configuration)
        source = open_source(table)
        planned, longest, lacking = [], 1, {}
        with ProgressBar("checking drivers", len(source.names)) as bar:
            for count, name in enumerate(source.names, 1):
                run = source.read(name)
                planned.append(planned_run(run, source.planned(name)))
                longest = max(longest, len(run.dates.year_spans))
                if len(run.runs) < len(run.values):
                    lacking[name] = len(run.values) - len(run.runs)
                bar.update(count, name)
        if lacking:
            say(say_what_lacks(table, lacking, len(planned)))
        experiment = table.model_copy(update={"longest": longest})
        return CheckedRuns(configuration.model_copy(update={"experiment": experiment}), planned)

    def moved(self, campaign: Campaign, wanted: Configuration, base: Path) -> Units | None:
        """Input stays where it was."""
        return None

    def read_unit(self, campaign: Campaign, unit: PlannedUnit) -> CellRun:
        """Read a cell's drivers and parameters again."""
        from phloem.jobs.simulation.runs import open_source

        run = open_source(table_of(campaign.configuration)).read(unit.name)
        if run.checksum != unit.checksum:
            raise InputError(
                f"cell {unit.name}: its drivers or its parameters are not what they were when the simulation began; "
                f"remove {campaign.paths.root} and run it again"
            )
        return run

    def begin(
        self,
        configuration: Configuration,
        units: Sequence[CellRun],
        lanes: Sequence[Lane] | None,
        devices: int,
        near: Near | None = None,
    ) -> TileWork:
        """Return the runs of some cells at their first day."""
        from phloem.jobs.simulation.tile_simulation import TileSimulation
        from phloem.jobs.single_cell import daily_outputs

        table = table_of(configuration)
        experiment = _opened(table.campaign).configuration.calibration
        fields = tuple(one.name for one in daily_outputs(experiment.tables))
        return TileSimulation(table, experiment, fields, units)

    def steps(self, configuration: Configuration) -> int:
        """Return the years of the longest run."""
        return table_of(configuration).longest

    @property
    def most_redraws(self) -> int:
        """Nothing is drawn."""
        return 0

    def schema(self, configuration: Configuration) -> TileSchema:
        """Return what a tile holds."""
        from phloem.jobs.simulation.product import simulation_schema

        calibration = _opened(table_of(configuration).campaign).configuration.calibration
        return simulation_schema(calibration.tables, calibration.precision)

    def merge(self, campaign: Campaign, allow_holes: bool = False) -> Path:
        """Write the file that was asked for."""
        from phloem.jobs.simulation.product import write_simulation

        return write_simulation(campaign, table_of(campaign.configuration))

    def report(self, campaign: Campaign, as_is: bool = False, cells: Sequence[str] = ()) -> Path:
        """A simulation has no page."""
        raise InputError(f"{campaign.paths.root} is a simulation, which has no page: look at its file")

    def estimate(self, campaign: Campaign, rate: float | None) -> Estimate:
        """Return its years."""
        years = len(campaign.cells) * campaign.configuration.campaign.members * self.steps(campaign.configuration)
        return Estimate({"lane_years": years}, [f"{years:,} lane-years, forward only"])
