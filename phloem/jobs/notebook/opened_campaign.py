"""A campaign opened in a notebook: its product and cells as xarray, its cells simulated and scored again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import xarray as xr

from phloem.errors import InputError, WorkError, some
from phloem.io.drivers.tower_cell import Cell
from phloem.io.merge.lazy_product import FileState, file_state, open_product
from phloem.jobs.calibration.merged_members import read_members
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.evaluation import Evaluation
from phloem.jobs.notebook.campaign_arrays import cells_table, members_parameters
from phloem.jobs.notebook.campaign_status import CampaignStatus, read_status, summary_table
from phloem.jobs.notebook.daily_datasets import simulate_grid_cell, tower_dataset
from phloem.jobs.notebook.named_cells import planned_cell, require_product
from phloem.jobs.notebook.plots import CampaignPlots
from phloem.jobs.single_cell import evaluate_cell, simulate_tower


class OpenedCampaign:
    """A campaign of a directory: nothing is read before it is asked for, and nothing is kept that may change.

    Attributes:
        directory: of the campaign.
        plot: its figures, as `campaign.plot.map(...)`: see `CampaignPlots`.

    Example:
        >>> import phloem
        >>> campaign = phloem.open_campaign("campaigns/transect")
        >>> campaign.cells.sizes["cell"], campaign.status()["tiles"]["done"]
        (2, 1)
    """

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self._product: tuple[FileState, xr.Dataset] | None = None

    @property
    def directory(self) -> Path:
        """Its directory."""
        return self._campaign.paths.root

    @property
    def name(self) -> str:
        """Its name, as the campaign file gives it."""
        return self._campaign.configuration.campaign.name

    @property
    def experiment(self) -> str:
        """Name of its experiment."""
        return str(self._campaign.configuration.experiment.name)

    @cached_property
    def plot(self) -> CampaignPlots:
        """Its figures, drawn when they are asked for."""
        return CampaignPlots(self._campaign)

    @property
    def merged(self) -> xr.Dataset:
        """The product, merged.nc, opened and not read: values are read where they are looked at.

        The file is not held open. A campaign that was merged anew is opened anew; what was opened before refuses then
        to read.

        Raises:
            WorkError: it is not merged yet, or the file is damaged; the message has the command.

        Example:
            >>> import phloem
            >>> phloem.open_campaign("campaigns/transect").merged["loss"].dims
            ('cell', 'member')
        """
        path = require_product(self._campaign)
        state = file_state(path)
        if self._product is None or self._product[0] != state:
            self._product = state, open_product(path)
        return self._product[1]

    @property
    def cells(self) -> xr.Dataset:
        """The cells as a table, (cell,): latitude, longitude, days, status, members_calibrated, least_loss.

        `cells.to_dataframe()` is a pandas table. The status is a word of `names.CELL_STATUS`; before the merge it is
        "not merged", and there is no loss.

        Raises:
            WorkError: the product is damaged; the message has the command.

        Example:
            >>> import phloem
            >>> cells = phloem.open_campaign("campaigns/transect").cells
            >>> cells.cell.values.tolist(), cells.status.values.tolist()
            (['T000', 'T001'], ['all_calibrated', 'all_calibrated'])
        """
        return cells_table(self._campaign)

    @property
    def parameters(self) -> xr.DataArray:
        """Physical values of parameters and initial pools, (cell, member, parameter), NaN for members without result.

        `units`, `long_name`, `lower` and `upper` are coordinates along `parameter`; `latitude` and `longitude` along
        `cell`. What `.sel(cell=NAME)` gives can be handed to `simulate`, `evaluate` and `write_parameters`. Of a
        campaign of very many cells, `merged` reads one parameter at a time.

        Raises:
            WorkError: it is not merged yet, or the product is damaged.

        Example:
            >>> import phloem
            >>> parameters = phloem.open_campaign("campaigns/transect").parameters
            >>> parameters.sel(cell="T000", parameter="lcma").dims
            ('member',)
        """
        require_product(self._campaign)
        return members_parameters(self._campaign)

    def simulate(self, cell: str, members: Sequence[int] | int | None = None) -> xr.Dataset:
        """Simulate a cell with what its members were calibrated to.

        Args:
            cell: name of the cell.
            members: numbers of the members; by default all that have a result.

        Returns:
            Daily outputs, (member, time), with units and long names. Along `time` are dates; of a run that repeats its
            years of forcing, numbers of days, with `year` and `day_of_year` beside them.

        Raises:
            InputError: no such cell or member, or drivers that are not what they were when the campaign was planned.
            WorkError: it is not merged yet, or the cell has no member with a result.

        Example:
            >>> import phloem
            >>> daily = phloem.open_campaign("campaigns/transect").simulate("T000", members=[0])
            >>> str(daily.gpp.resample(time="YS").mean().time.dt.year.values[0])
            '2001'
        """
        unit = planned_cell(self._campaign, cell)
        values, chosen = self._values(cell, members)
        drivers, experiment = self._campaign.read_unit(unit), self._campaign.configuration.calibration
        if isinstance(drivers, Cell):
            return tower_dataset(simulate_tower(drivers, values, experiment), chosen)
        return simulate_grid_cell(drivers, values, experiment, chosen)

    def evaluate(self, cell: str, members: Sequence[int] | int | None = None, gradient: bool = False) -> Evaluation:
        """Score what the members of a cell were calibrated to against its observations.

        Args:
            cell: name of the cell.
            members: numbers of the members; by default all that have a result.
            gradient: also return the gradient of `j_obs` with respect to the physical values.

        Raises:
            InputError: no such cell or member, or drivers that are not what they were when the campaign was planned.
            WorkError: it is not merged yet, or the cell has no member with a result.

        Example:
            >>> import phloem
            >>> scores = phloem.open_campaign("campaigns/transect").evaluate("T000")
            >>> scores.nnse.dims
            ('member', 'stream')
        """
        unit = planned_cell(self._campaign, cell)
        values, chosen = self._values(cell, members)
        experiment = self._campaign.configuration.calibration
        return evaluate_cell(self._campaign.read_unit(unit), values, experiment, experiment.time_loop, gradient, chosen)

    def status(self) -> CampaignStatus:
        """Return how far it is: what `phloem status --json` prints, which shows itself in words.

        Example:
            >>> import phloem
            >>> phloem.open_campaign("campaigns/transect").status()["tiles"]
            {'done': 1, 'running': 0, 'failed': 0, 'pending': 0}
        """
        return read_status(self._campaign)

    def _values(self, cell: str, members: Sequence[int] | int | None) -> tuple[np.ndarray, np.ndarray]:
        """Return parameters and initial pools of a cell's members, (members, unknowns), and their numbers."""
        require_product(self._campaign)
        found = read_members(self._campaign, [cell])
        usable = np.flatnonzero(found.good[0])
        if not len(usable):
            raise WorkError(
                f"{self.directory}: cell {cell}: no member has a result; try again with: "
                f"phloem retry {self.directory} --lanes"
            )
        chosen = usable if members is None else np.atleast_1d(np.asarray(members, int))
        if wrong := [number for number in chosen.tolist() if number not in usable]:
            raise InputError(
                f"{self.directory}: cell {cell}: member {wrong[0]} has no result; those with one are "
                f"{some(usable.tolist())}"
            )
        return np.concatenate([found.parameters[0, chosen], found.pools[0, chosen]], axis=1), chosen

    def __repr__(self) -> str:
        cells = len(self._campaign.cells)
        return f"<phloem.OpenedCampaign {self.name} in {self.directory}: {self.experiment}, {cells} cells>"

    def _repr_html_(self) -> str:
        return summary_table([self._campaign])
