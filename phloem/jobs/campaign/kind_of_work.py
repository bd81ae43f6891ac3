"""Kinds of work, by name: the interface through which a campaign is planned, scheduled, checkpointed and committed.

A kind says what its units are, how a tile of them is calculated in steps that can be kept and taken up again, which
arrays it commits, how they are merged, and what a report shows (docs/structure.md, "A kind of work").
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np

from phloem.errors import InputError
from phloem.io.campaign.tile_schema import TileSchema
from phloem.jobs.campaign.unit_table import PlannedUnit, UnitTable
from phloem.jobs.config.campaign_file import Configuration
from phloem.names import STATUS

if TYPE_CHECKING:
    from phloem.jobs.campaign.campaign import Campaign

Arrays = dict[str, np.ndarray]


class Lane(NamedTuple):
    """A lane that is taken up again.

    Attributes:
        unit: position of its unit.
        member: number of the restart.
        redraws: used before.
        was: what became of it before, one of `names.STATUS`.
        near_tile: tile that holds a better lane of its unit; -1 where none is.
        near_member: member of that lane.
    """

    unit: int
    member: int
    redraws: int
    was: int = STATUS["diverged"]
    near_tile: int = -1
    near_member: int = -1


class Near(NamedTuple):
    """Where lanes that are taken up again may walk once more.

    Attributes:
        raw: unbounded values of a better lane of each lane's unit, NaN where there is none, (lanes, unknowns).
        aim: loss above which a lane that has ended does so, inf where there is none, (lanes,).
    """

    raw: np.ndarray
    aim: np.ndarray


KINDS = {
    "application": "phloem.jobs.kinds.application:Applications",
    "calibration": "phloem.jobs.kinds.calibration:Calibrations",
    "simulation": "phloem.jobs.kinds.simulation:Simulations",
    "training": "phloem.jobs.kinds.training:Trainings",
    "upscaling": "phloem.jobs.kinds.upscaling:Upscalings",
}
"""Module and class of each kind, by the name that experiments give."""


class TileWork(Protocol):
    """Lanes of a tile under way. No bit of a result depends on how it is cut into steps, devices and attempts."""

    in_flight: int
    """Lanes worked on at once, at most."""

    @property
    def running(self) -> bool:
        """Whether any lane still has steps to take."""

    @property
    def stage(self) -> int:
        """What is worked on; a step of another stage may take many times as long."""

    @property
    def steps_taken(self) -> int:
        """Steps of all lanes so far."""

    @property
    def total_steps(self) -> int:
        """Steps of all lanes when all is done, at most."""

    def advance(self, steps: int) -> int:
        """Take up to so many steps in every lane that is worked on; return how many were taken."""

    def halve(self) -> bool:
        """Halve the lanes in flight and go on from where they stand; return whether fewer are in flight than before."""

    def saved(self) -> Arrays:
        """Return everything that a checkpoint must hold."""

    def restore(self, arrays: Arrays) -> None:
        """Go back to what was saved."""

    def arrays(self) -> Arrays:
        """Return the arrays of the tile's file."""


@dataclass(frozen=True)
class Units:
    """The units of a campaign as they are planned.

    Attributes:
        table: all units, in the order of the merged product; sources inside the campaign directory are relative to it.
        facts: what else the plan holds, by keys of the sealed table.
    """

    table: UnitTable
    facts: Mapping[str, Any] = field(default_factory=dict)


class CheckedInput(Protocol):
    """All input of a campaign, read and found good; nothing is on disk yet."""

    @property
    def configuration(self) -> Configuration:
        """The complete configuration, its paths absolute."""

    def units(self, root: Path) -> Units:
        """Return the units; input that is made for this campaign alone is written into its directory first."""


@dataclass(frozen=True)
class Estimate:
    """Needs of a campaign: hours, memory, disk, files.

    Attributes:
        facts: for scripts.
        lines: for people.
    """

    facts: Mapping[str, Any]
    lines: Sequence[str]


@dataclass(frozen=True)
class AnalysisRequest:
    """A benchmark or an attribution, as the command line asks for it.

    Attributes:
        directory: of a campaign, or of several that stand side by side.
        config: file of choices; None: all defaults.
        out: folder to write; None: its place in the directory.
        assignments: `key=value` texts that override the file.
        targets: what is attributed, instead of the file's; None: as there.
        against: directories of other campaigns beside which this one is shown.
    """

    directory: Path
    config: Path | None = None
    out: Path | None = None
    assignments: Sequence[str] = ()
    targets: Sequence[str] | None = None
    against: Sequence[Path] = ()


@dataclass(frozen=True)
class AnalysisResult:
    """A benchmark or an attribution that was made.

    Attributes:
        document: for scripts.
        lines: for people.
        warnings: what could not be done, line by line.
        refused: why nothing could be done; empty where anything was.
    """

    document: Mapping[str, Any]
    lines: Sequence[str]
    warnings: Sequence[str] = ()
    refused: str = ""


class KindOfWork(ABC):
    """Interface of a kind of work.

    Attributes:
        name: in `ExperimentTable.kind_of_work`.
        doing: what a progress bar says.
        has_page: whether `report` writes one.
        templates: names of the commented files of `benchmark` and `attribute`.
    """

    name: ClassVar[str]
    doing: ClassVar[str]
    has_page: ClassVar[bool] = True
    templates: ClassVar[Mapping[str, str]] = {}

    def lanes_of_unit(self, configuration: Configuration) -> int:
        """Return the lanes of a unit: as many as the campaign has members, where a kind says nothing else."""
        return configuration.campaign.members

    @abstractmethod
    def check(self, configuration: Configuration, base: Path) -> CheckedInput:
        """Read and check all input, before anything is written.

        Args:
            configuration: of the campaign.
            base: folder from which its relative paths count.

        Raises:
            InputError: whatever is wrong: file, variable and unit are named.
        """

    @abstractmethod
    def moved(self, campaign: Campaign, wanted: Configuration, base: Path) -> Units | None:
        """Return the units with their input where a campaign file says it is now; None where it is where it was.

        Raises:
            InputError: input is not there, or is another.
        """

    @abstractmethod
    def read_unit(self, campaign: Campaign, unit: PlannedUnit) -> Any:
        """Read a unit's input again.

        Raises:
            InputError: it is not what it was when the campaign was planned.
        """

    def read_units(self, campaign: Campaign, units: Sequence[PlannedUnit]) -> Sequence[Any]:
        """Read the input of some units again, as `read_unit` does of one; a kind may read them together.

        Raises:
            InputError: some of it is not what it was when the campaign was planned.
        """
        return [self.read_unit(campaign, unit) for unit in units]

    @abstractmethod
    def begin(
        self,
        configuration: Configuration,
        units: Sequence[Any],
        lanes: Sequence[Lane] | None,
        devices: int,
        near: Near | None = None,
    ) -> TileWork:
        """Return the lanes of some units at their first step.

        Args:
            configuration: of the campaign.
            units: as `read_unit` returns them.
            lanes: those to compute, units by their position among these; None: all, from their first draw.
            devices: devices of this process to lay them over.
            near: as `read_near` returns it for these lanes.
        """

    def read_near(self, campaign: Campaign, units: Sequence[Any], lanes: Sequence[Lane]) -> Near | None:
        """Return where lanes that are taken up again may walk once more; None where a kind knows of no such place.

        Args:
            campaign: whose committed tiles hold the better lanes.
            units: as `read_unit` returns them, among which the lanes' positions are.
            lanes: taken up again.

        Raises:
            CorruptFile: such a tile is not what was committed.
        """
        return None

    def steps(self, configuration: Configuration) -> int:
        """Return the steps that a lane takes, at most, where the table of units does not say it."""
        raise ValueError(f"units of the kind {self.name} say themselves how many steps they take")

    @property
    @abstractmethod
    def most_redraws(self) -> int:
        """The most redraws that a lane which is taken up again may have used before."""

    @abstractmethod
    def schema(self, configuration: Configuration) -> TileSchema:
        """Return what a tile holds."""

    @abstractmethod
    def merge(self, campaign: Campaign, allow_holes: bool = False) -> Path:
        """Merge the committed tiles into the campaign's product.

        Raises:
            WorkError: a tile is missing or damaged, and holes were not asked for.
        """

    @abstractmethod
    def report(self, campaign: Campaign, as_is: bool = False, cells: Sequence[str] = ()) -> Path:
        """Write the campaign's page.

        Args:
            campaign: whose product is merged first where it is not.
            as_is: show what is there, and compute nothing first.
            cells: those that were asked for by name.
        """

    def benchmark(self, request: AnalysisRequest) -> AnalysisResult:
        """Compare what campaigns of this kind have computed with observations, and write the scores.

        Raises:
            InputError: bad choices or nothing to compare; or a kind that has no benchmark.
        """
        raise InputError(f"{request.directory}: a {self.name} has no benchmark")

    def attribute(self, request: AnalysisRequest) -> AnalysisResult:
        """Explain what campaigns of this kind have computed, and write what is found.

        Raises:
            InputError: bad choices; or a kind that has no attribution.
        """
        raise InputError(f"{request.directory}: a {self.name} has no attribution")

    def describe(self, campaign: Campaign) -> list[str]:
        """Return what a first run says of the campaign before it begins; nothing is computed."""
        return []

    def after_run(self, campaign: Campaign, merged: Path) -> list[str]:
        """Return what a run warns of at its end."""
        return []

    @abstractmethod
    def estimate(self, campaign: Campaign, rate: float | None) -> Estimate:
        """Return what the campaign will need.

        Args:
            campaign: planned.
            rate: pace of this machine, in microseconds a lane and year; None: as it is measured here.
        """


def template_of(kind: KindOfWork, command: str) -> str:
    """Return the name of the commented file of `benchmark` or `attribute`.

    Raises:
        InputError: the kind has no such command.
    """
    if command not in kind.templates:
        raise InputError(f"a {kind.name} has no file for {command}")
    return kind.templates[command]


@cache
def kind_of(name: str) -> KindOfWork:
    """Return a kind of work by the name that an experiment gives."""
    module, _, attribute = KINDS[name].partition(":")
    found: KindOfWork = getattr(import_module(module), attribute)()
    return found
