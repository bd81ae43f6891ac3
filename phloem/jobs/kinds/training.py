"""Training of networks: the network of each set-up and run is a unit, of one lane (docs/network.md).

What computes is imported when it is asked for: `status` needs no kernels.
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
    from phloem.jobs.network.training_units import TrainingInput


class Trainings(KindOfWork):
    """Networks that turn maps of predictors into quantities of the monthly model."""

    name: ClassVar[str] = "training"
    doing: ClassVar[str] = "training"
    templates: ClassVar[Mapping[str, str]] = {
        "benchmark": "network_benchmark.toml",
        "attribute": "network_attribution.toml",
    }

    def lanes_of_unit(self, configuration: Configuration) -> int:
        """A unit is one network; the campaign's members are the runs."""
        return 1

    def check(self, configuration: Configuration, base: Path) -> CheckedInput:
        """Check the patch store, the set-ups and every run's split."""
        from phloem.jobs.network.training_units import check_patches

        return check_patches(configuration, base)

    def moved(self, campaign: Campaign, wanted: Configuration, base: Path) -> Units | None:
        """Return the networks with their patches where they are now."""
        from phloem.jobs.network.training_units import moved_patches

        return moved_patches(campaign, wanted, base)

    def read_unit(self, campaign: Campaign, unit: PlannedUnit) -> TrainingInput:
        """Open a network's patches again."""
        from phloem.jobs.network.training_units import read_training

        return read_training(campaign, unit)

    def begin(
        self,
        configuration: Configuration,
        units: Sequence[TrainingInput],
        lanes: Sequence[Lane] | None,
        devices: int,
        near: Near | None = None,
    ) -> TileWork:
        """Return some networks at their first step."""
        from phloem.jobs.network.tile_training import TileTraining
        from phloem.jobs.network.training_units import table_of
        from phloem.kernels.time_loop.cuda.driver import platform

        where = platform() if configuration.engine.gpus else "cpu"
        return TileTraining(table_of(configuration), configuration.campaign.seed, units, lanes, devices, where)

    @property
    def most_redraws(self) -> int:
        """The most redraws that a tile file can count, less those of another attempt."""
        from phloem.jobs.network.tile_training import MAX_EARLIER_REDRAWS

        return MAX_EARLIER_REDRAWS

    def schema(self, configuration: Configuration) -> TileSchema:
        """Return what a tile holds of its networks."""
        from phloem.io.campaign.training_schema import training_schema
        from phloem.io.patches.predictor_moments import COLUMNS
        from phloem.jobs.network.tile_training import looks
        from phloem.jobs.network.training_units import table_of
        from phloem.kernels.network.parameter_network import count

        table = table_of(configuration)
        width = len(COLUMNS)
        return training_schema(count(width - 1), width, table.epochs, len(looks(table)), table.precision)

    def merge(self, campaign: Campaign, allow_holes: bool = False) -> Path:
        """Write merged.nc: weights, losses and splits."""
        from phloem.jobs.network.merge_networks import merge_networks

        return merge_networks(campaign, allow_holes)

    def report(self, campaign: Campaign, as_is: bool = False, cells: Sequence[str] = ()) -> Path:
        """Evaluate and attribute what has not been, and write the page."""
        from phloem.jobs.network_analyses.report import report_networks

        return report_networks(campaign, as_is)

    def benchmark(self, request: AnalysisRequest) -> AnalysisResult:
        """Score networks on held-out patches and at sites, or show several trainings side by side."""
        from phloem.jobs.network_analyses.benchmark import benchmark_networks, describe
        from phloem.jobs.network_analyses.side_by_side import compare_trainings, describe_comparison

        campaign = open_campaign(request.directory)
        if request.against:
            compared = compare_trainings(campaign, request.against, request.out, request.config, request.assignments)
            return AnalysisResult(compared, describe_comparison(compared))
        document = benchmark_networks(campaign, request.config, request.out, request.assignments)
        return AnalysisResult(document, describe(document))

    def attribute(self, request: AnalysisRequest) -> AnalysisResult:
        """Share out what networks explain among the groups of predictors, and explain the networks."""
        from phloem.jobs.network_analyses.attribute import attribute_networks, describe

        document = attribute_networks(
            open_campaign(request.directory), request.config, request.targets, request.out, request.assignments
        )
        return AnalysisResult(document, describe(document), document["refused"])

    def describe(self, campaign: Campaign) -> list[str]:
        """Return what a first run says."""
        from phloem.jobs.network.estimate import describe

        return describe(campaign)

    def after_run(self, campaign: Campaign, merged: Path) -> list[str]:
        """Return which networks are not to be relied on."""
        from phloem.jobs.network.merge_networks import describe_networks

        return describe_networks(merged, campaign.paths.root)

    def estimate(self, campaign: Campaign, rate: float | None) -> Estimate:
        """Project hours from the pace of a step."""
        from phloem.jobs.network.estimate import estimate

        return estimate(campaign, rate)
