"""Upscaling of tower fluxes: a flux with what is left out is a unit, each member a lane (docs/upscaling.md).

What computes is imported when it is asked for: `status` needs no trees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from phloem.io.campaign.tile_schema import TileSchema
from phloem.jobs.campaign.campaign import Campaign, open_campaign
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
    from phloem.jobs.upscaling.fit_units import FitInput


class Upscalings(KindOfWork):
    """Models of tower fluxes beside process baselines."""

    name: ClassVar[str] = "upscaling"
    doing: ClassVar[str] = "fitting"
    templates: ClassVar[Mapping[str, str]] = {
        "benchmark": "upscaling_benchmark.toml",
        "attribute": "upscaling_attribution.toml",
    }

    def check(self, configuration: Configuration, base: Path) -> CheckedInput:
        """Check the table of towers, its quality, and what each scheme leaves out."""
        from phloem.jobs.upscaling.fit_units import check_towers

        return check_towers(configuration, base)

    def moved(self, campaign: Campaign, wanted: Configuration, base: Path) -> Units | None:
        """Return the units with their table where it is now."""
        from phloem.jobs.upscaling.fit_units import moved_towers

        return moved_towers(campaign, wanted, base)

    def read_unit(self, campaign: Campaign, unit: PlannedUnit) -> FitInput:
        """Read the towers of a unit again."""
        from phloem.jobs.upscaling.fit_units import read_fit

        return read_fit(campaign, unit)

    def begin(
        self,
        configuration: Configuration,
        units: Sequence[FitInput],
        lanes: Sequence[Lane] | None,
        devices: int,
        near: Near | None = None,
    ) -> TileWork:
        """Return the fits of some units, of which none is made."""
        from phloem.jobs.upscaling.fit_units import table_of
        from phloem.jobs.upscaling.tile_fits import TileFits

        section, table = configuration.campaign, table_of(configuration)
        if table.learner == "network":
            from phloem.jobs.upscaling.tile_networks import TileNetworks

            return TileNetworks(table, section.seed, section.members, units, lanes, devices)
        return TileFits(table, section.seed, section.members, units, lanes)

    def steps(self, configuration: Configuration) -> int:
        """A fit of trees is one step, an epoch of a network another."""
        from phloem.jobs.upscaling.fit_units import table_of

        table = table_of(configuration)
        return table.network.max_epochs if table.learner == "network" else 1

    @property
    def most_redraws(self) -> int:
        """Nothing is drawn anew: a fit has come to its end or not."""
        return 0

    def schema(self, configuration: Configuration) -> TileSchema:
        """Return what a tile holds of its fits."""
        from phloem.io.campaign.fits_schema import fits_schema
        from phloem.jobs.upscaling.fit_units import table_of
        from phloem.jobs.upscaling.tile_fits import all_ways

        table = table_of(configuration)
        return fits_schema(all_ways(table), len(table.fluxes) if table.learner == "network" else 1)

    def merge(self, campaign: Campaign, allow_holes: bool = False) -> Path:
        """Write merged.nc, scores.json and the fitted models."""
        from phloem.jobs.upscaling.merge_fits import merge_fits

        return merge_fits(campaign, allow_holes)

    def report(self, campaign: Campaign, as_is: bool = False, cells: Sequence[str] = ()) -> Path:
        """Compare and explain what has not been, and write the page."""
        from phloem.jobs.upscaling_analyses.report import report_upscaling

        return report_upscaling(campaign, as_is)

    def benchmark(self, request: AnalysisRequest) -> AnalysisResult:
        """Score by class, season and climate; check mass and biomass of products."""
        from phloem.jobs.upscaling_analyses.benchmark import benchmark_upscaling, describe

        document = benchmark_upscaling(
            open_campaign(request.directory), request.config, request.out, request.assignments
        )
        return AnalysisResult(document, describe(document))

    def attribute(self, request: AnalysisRequest) -> AnalysisResult:
        """Explain the models by their predictors, and the fluxes by networks of causes."""
        from phloem.jobs.upscaling_analyses.attribute import attribute_upscaling, describe

        document = attribute_upscaling(
            open_campaign(request.directory), request.config, request.out, request.assignments
        )
        return AnalysisResult(document, describe(document))

    def describe(self, campaign: Campaign) -> list[str]:
        """Return what a first run says."""
        from phloem.jobs.upscaling.estimate import describe

        return describe(campaign)

    def after_run(self, campaign: Campaign, merged: Path) -> list[str]:
        """Return the scores at towers never seen."""
        from phloem.jobs.upscaling.fit_units import table_of
        from phloem.jobs.upscaling.tower_scores import describe_scores

        return describe_scores(campaign.paths.root, table_of(campaign.configuration))

    def estimate(self, campaign: Campaign, rate: float | None) -> Estimate:
        """Project hours from the pace of a fit."""
        from phloem.jobs.upscaling.estimate import estimate

        return estimate(campaign, rate)
