"""Calibration of cells: each cell is a unit, each of its random restarts a lane (docs/science.md#optimisation).

What computes, merges or draws is imported when it is asked for: a worker needs no figures, `status` no kernels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from phloem.errors import InputError
from phloem.io.campaign.calibration_schema import calibration_schema
from phloem.io.campaign.tile_schema import TileSchema
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.campaign.kind_of_work import (
    AnalysisRequest,
    AnalysisResult,
    CheckedInput,
    Estimate,
    KindOfWork,
    Lane,
    Near,
    TileWork,
    Units,
)
from phloem.jobs.campaign.unit_table import PlannedUnit
from phloem.jobs.config.campaign_file import Configuration

if TYPE_CHECKING:
    from phloem.io.drivers.grid_cell import GridCell
    from phloem.io.drivers.tower_cell import Cell


class Calibrations(KindOfWork):
    """Parameters and initial pools of a model, in every cell, from several random starts."""

    name: ClassVar[str] = "calibration"
    doing: ClassVar[str] = "calibrating"
    templates: ClassVar[Mapping[str, str]] = {"benchmark": "benchmark.toml", "attribute": "attribution.toml"}

    def check(self, configuration: Configuration, base: Path) -> CheckedInput:
        """Read and check the drivers of all cells."""
        from phloem.jobs.calibration.planned_cells import check_cells

        return check_cells(configuration, base)

    def moved(self, campaign: Campaign, wanted: Configuration, base: Path) -> Units | None:
        """Return the cells with their drivers where they are now."""
        from phloem.jobs.calibration.planned_cells import moved_cells

        return moved_cells(campaign, wanted, base)

    def read_unit(self, campaign: Campaign, unit: PlannedUnit) -> Cell | GridCell:
        """Read a cell's drivers again."""
        return self.read_units(campaign, [unit])[0]

    def read_units(self, campaign: Campaign, units: Sequence[PlannedUnit]) -> Sequence[Cell | GridCell]:
        """Read the drivers of some cells again, each file of a store once."""
        from phloem.jobs.calibration.planned_cells import read_planned_cells

        return read_planned_cells(campaign, units)

    def begin(
        self,
        configuration: Configuration,
        units: Sequence[Cell | GridCell],
        lanes: Sequence[Lane] | None,
        devices: int,
        near: Near | None = None,
    ) -> TileWork:
        """Return the lanes of some cells at their first step."""
        from phloem.jobs.calibration.tile_calibration import TileCalibration

        return TileCalibration(configuration, units, lanes, devices, near=near)

    def read_near(self, campaign: Campaign, units: Sequence[Cell | GridCell], lanes: Sequence[Lane]) -> Near | None:
        """Return the ends of the best lanes of the lanes' cells."""
        from phloem.jobs.calibration.better_lanes import read_better_lanes

        return read_better_lanes(campaign, [units[lane.unit].name for lane in lanes], lanes)

    def steps(self, configuration: Configuration) -> int:
        """Return the steps of the optimiser, at most."""
        return configuration.optimiser.steps

    @property
    def most_redraws(self) -> int:
        """The most redraws that a tile file can count, less those of another attempt."""
        from phloem.jobs.calibration.tile_calibration import MAX_EARLIER_REDRAWS

        return MAX_EARLIER_REDRAWS

    def schema(self, configuration: Configuration) -> TileSchema:
        """Return what a tile holds of the model's parameters, pools, streams and terms."""
        return calibration_schema(configuration.calibration.tables)

    def merge(self, campaign: Campaign, allow_holes: bool = False) -> Path:
        """Write merged.nc."""
        from phloem.jobs.calibration.merge_cells import merge_cells

        return merge_cells(campaign, allow_holes)

    def report(self, campaign: Campaign, as_is: bool = False, cells: Sequence[str] = ()) -> Path:
        """Attribute and benchmark what has not been, and write the page."""
        from phloem.jobs.analyse.report import check_cells_shown, report_campaign
        from phloem.jobs.analyse.report_parts import see_to_parts

        check_cells_shown(campaign, cells)
        if not as_is:
            see_to_parts(campaign.paths.root)
        return report_campaign(campaign, cells)

    def benchmark(self, request: AnalysisRequest) -> AnalysisResult:
        """Compare with maps, tables, series and withheld years."""
        from phloem.jobs.analyse.benchmark import benchmark, describe

        if request.against:
            raise InputError(
                "--against is for trainings of networks; of calibrations it is references that are compared (--config)"
            )
        document = benchmark(request.directory, request.config, request.out, request.assignments)
        return AnalysisResult(document, describe(document))

    def attribute(self, request: AnalysisRequest) -> AnalysisResult:
        """Explain retrieved parameters by predictors of the cells."""
        from phloem.jobs.analyse.attribute import describe, refusal, run_attribute, warnings

        summary = run_attribute(request.directory, request.config, request.targets, request.out, request.assignments)
        why = refusal(summary)
        return AnalysisResult(summary, [] if why else describe(summary), warnings(summary), why)

    def describe(self, campaign: Campaign) -> list[str]:
        """Return what `plan` says, without times where this machine's pace was never measured."""
        from phloem.jobs.estimate.gradient_pace import known_pace
        from phloem.jobs.estimate.projection import describe, project

        rate = known_pace(campaign)
        return describe(campaign, project(campaign, 0.0 if rate is None else rate), timed=rate is not None)

    def after_run(self, campaign: Campaign, merged: Path) -> list[str]:
        """Return which lanes are not to be relied on."""
        from phloem.jobs.calibration.merge_cells import describe_lanes

        return describe_lanes(merged, campaign.paths.root)

    def estimate(self, campaign: Campaign, rate: float | None) -> Estimate:
        """Project hours from the pace of a gradient."""
        from phloem.jobs.estimate.gpu_pace import pace_of
        from phloem.jobs.estimate.projection import describe, project

        pace = pace_of(campaign, rate)
        needs = project(campaign, pace.microseconds)
        facts = {**asdict(needs), "rate_device": pace.device, "rate_source": pace.source}
        return Estimate(facts, describe(campaign, needs, device=pace.in_words()))
