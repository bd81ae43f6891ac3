"""Calibrations of a model: its tables, its cells, its loss and its forward runs, as a campaign asks for them."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from phloem.model_tables import ModelTables
from phloem.typed_tables import ExperimentTable, TowerYears

if TYPE_CHECKING:
    from phloem.kernels.calibrations.protocol import RunProtocol
    from phloem.kernels.models.model import Model
    from phloem.kernels.objective.objective import Objective
    from phloem.kernels.objective.site import Site
    from phloem.kernels.optimise.optimiser import Optimiser


class Calibration(ExperimentTable):
    """The [experiment] table of a calibration, and what it asks of the kernels.

    A model joins by a subclass. Whatever computes is imported inside the methods: commands that compute nothing read
    tables too, and start without JAX.

    `backend = "auto"` is chosen when the campaign is planned: `gpu` where it asks for GPUs, `cpu` where a C compiler is
    found, else `xla`.
    """

    kind_of_work: ClassVar[str] = "calibration"

    mode: Literal["strict", "compat"] = "strict"
    precision: Literal["float32", "float64"] = "float32"
    backend: Literal["auto", "xla", "cpu", "gpu"] = "auto"

    @property
    @abstractmethod
    def tables(self) -> ModelTables:
        """Parameters, pools, streams and terms of the loss; equal for equal tables."""

    @property
    def bounded_tables(self) -> ModelTables:
        """The same tables with the bounds that initial pools have in this experiment."""
        return self.tables

    def with_backend(self, backend: str) -> Calibration:
        """Return the same experiment with `auto` replaced by a backend; one that was named stays."""
        return self.model_copy(update={"backend": backend}) if self.backend == "auto" else self

    @property
    def time_loop(self) -> str:
        """The backend that runs its time loop, `auto` before one is chosen."""
        return self.backend

    @property
    def reads_store(self) -> bool:
        """Whether its cells come from a driver store; else they are towers."""
        return False

    def check_data(self, kind: str, domain: str) -> None:
        """Refuse data that is not towers; see `ExperimentTable.check_data`."""
        if kind != "tower":
            raise ValueError(f'experiment.name = "{self.name}" goes with data.kind = "tower"')

    @property
    def tower_years(self) -> TowerYears | None:
        """Years of towers' records that are used; None: all, halved."""
        return None

    @property
    def protocol(self) -> RunProtocol:
        """What a run over a driver store simulates and compares.

        Raises:
            ValueError: it reads no driver store.
        """
        raise ValueError(f"the experiment {self.name} reads no driver store")

    @property
    def windowed(self) -> tuple[str, ...]:
        """Streams of a driver store that are compared as means over its windows."""
        return ()

    @abstractmethod
    def objective(self) -> Objective:
        """Return the loss; equal tables give equal (and once compiled) objectives."""

    @abstractmethod
    def site(self, cell: Any) -> Site:
        """Return a cell as the kernels read it.

        Args:
            cell: `io.drivers.tower_cell.Cell`, or `io.drivers.grid_cell.GridCell` where it reads a store.

        Raises:
            InputError: something that the experiment needs is not there; the message names the cell.
        """

    @property
    def on_windows(self) -> Calibration:
        """The experiment as the optimiser's windows of a few years see it."""
        return self

    def site_on_windows(self, cell: Any, site: Site) -> Site:
        """Return a cell as `on_windows` reads it, given what this experiment makes of it."""
        return self.on_windows.site(cell)

    def tuned(self, optimiser: Optimiser) -> Optimiser:
        """Return the optimiser as this experiment needs it."""
        return optimiser

    def forward_model(self) -> Model:
        """Return the model text of forward runs: that of the loss, or a plainer one of the same days."""
        return self.objective().model

    def scenario_weather(self, cell: Any, drivers: Any) -> Any:
        """Return what the forward model reads of other drivers of a cell that was calibrated.

        What a model takes from the calibration's record, such as a reference climate, is still taken from there: with
        the scenario's own a warming would warm nothing.

        Args:
            cell: with the drivers of its calibration.
            drivers: of the scenario, one row a day.

        Raises:
            ValueError: this experiment knows of no scenarios.
        """
        raise ValueError(f"the experiment {self.name} knows of no other drivers than those of its calibration")

    def forward_weather(self, site: Site) -> Any:
        """Return what the forward model reads of a site's forcing."""
        return site.weather
