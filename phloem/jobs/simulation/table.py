"""The [experiment] table of a simulation: whose parameters are run, over which days, and what is kept of them."""

from __future__ import annotations

from typing import ClassVar, Literal

from phloem.typed_tables import ExperimentTable, Positive, Years

What = Literal["daily", "monthly", "annual"]


class SimulationTable(ExperimentTable):
    """A simulation of a finished campaign; `phloem simulate DIR` writes it, nobody by hand.

    Attributes:
        campaign: directory of the campaign, absolute.
        out: the file to write, absolute.
        what: each day, or means over months or years.
        cells: names of the cells; None: all.
        numbers: members that are run; None: their median.
        shown_years: first and last year that is kept; None: all.
        drivers: other drivers than those of the calibration: a folder of towers, a driver store or a CF grid file,
            absolute; None: the same.
        quality: what happens to mendable defects of such drivers.
        backend: that of the campaign.
        longest: years of the longest run.
    """

    kind_of_work: ClassVar[str] = "simulation"
    names: ClassVar[tuple[str, ...]] = ("simulation",)

    name: Literal["simulation"] = "simulation"
    campaign: str
    out: str
    what: What = "daily"
    cells: list[str] | None = None
    numbers: list[int] | None = None
    shown_years: Years | None = None
    drivers: str | None = None
    quality: Literal["repair", "keep", "refuse"] = "repair"
    backend: str = "auto"
    longest: Positive = 1

    @property
    def time_loop(self) -> str:
        """The backend that runs it."""
        return self.backend

    @property
    def count(self) -> int:
        """Number of runs a cell."""
        return 1 if self.numbers is None else len(self.numbers)
