"""The [experiment] table of a campaign that calibrates the snow pack: `name = "snowpack"`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from phloem.kernels.calibrations.experiment import Calibration
from phloem.model_tables import ModelTables
from snowpack.tables import TABLES

if TYPE_CHECKING:
    from phloem.io.drivers.tower_cell import Cell
    from snowpack.site import SnowObjective, SnowSite


class SnowpackExperiment(Calibration):
    """Calibration of three parameters and two pools at towers."""

    names: ClassVar[tuple[str, ...]] = ("snowpack",)

    name: Literal["snowpack"]

    @property
    def tables(self) -> ModelTables:
        """Parameters, pools, streams and terms of the loss."""
        return TABLES

    def objective(self) -> SnowObjective:
        """Return the loss."""
        from snowpack.site import snow_objective

        return snow_objective(self.backend)

    def site(self, cell: Cell) -> SnowSite:
        """Return a tower as the kernels read it."""
        from snowpack.site import snow_site

        return snow_site(cell)
