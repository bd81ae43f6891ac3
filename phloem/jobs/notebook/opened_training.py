"""A training of networks opened in a notebook: product as xarray, what its networks give cells, months simulated."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import xarray as xr

from phloem.errors import InputError
from phloem.io.drivers.tower_arrays import TIME_UNITS
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.config.parameters_file import ALL_MEMBERS
from phloem.jobs.evaluation import Evaluation
from phloem.jobs.network.trained_networks import TrainedNetworks, read_networks
from phloem.jobs.network_products.output_names import QUANTITIES
from phloem.jobs.network_products.predict import chosen_members, fullest_set_up, predicted, quantities_of_members
from phloem.jobs.network_products.product_places import ProductPlaces, places_of
from phloem.jobs.notebook.named_cells import require_product
from phloem.jobs.notebook.opened_campaign import OpenedCampaign
from phloem.jobs.notebook.opened_upscaling import OpenedUpscaling
from phloem.jobs.notebook.parameter_arrays import labelled
from phloem.jobs.notebook.plots import CampaignPlots
from phloem.kernels.models.dalec_monthly.file_names import TABLES
from phloem.kernels.network.patch_cells import MonthAxis


def opened(campaign: Campaign) -> OpenedCampaign:
    """Return a campaign as a notebook sees it, by what it computes."""
    kinds = {"training": OpenedTraining, "upscaling": OpenedUpscaling}
    return kinds.get(campaign.configuration.experiment.kind_of_work, OpenedCampaign)(campaign)


class OpenedTraining(OpenedCampaign):
    """A training: what `OpenedCampaign` has, of the cells of its patches; `merged` holds weights, losses and splits.

    Where no set-up is named, the fullest is meant; where no members are, those that count.
    """

    @property
    def cells(self) -> xr.Dataset:
        """The cells of all patches, (cell,): latitude, longitude, patch."""
        networks = self._networks()
        places = places_of(networks.store)
        counts = [len(rows) for rows in places.rows]
        patches = np.repeat([networks.store.names[place] for place in places.positions], counts)
        return xr.Dataset({"patch": ("cell", patches, {"long_name": "patch of the cell"})}, _coordinates(places))

    @property
    def parameters(self) -> xr.DataArray:
        """Physical values that the fullest set-up gives all cells, (cell, member, parameter); see `parameters_of`."""
        return self.parameters_of()

    def parameters_of(
        self, set_up: str | None = None, members: Sequence[int] | int | None = None, cells: Sequence[str] = ()
    ) -> xr.DataArray:
        """Return the physical values that a set-up's networks give cells, (cell, member, parameter).

        They take cells x members x 320 bytes; `phloem parameters DIR --out maps.nc` writes maps of any size.

        Args:
            set_up: its name, as PFT+CLIM.
            members: runs.
            cells: names of cells or patches; by default all.

        Raises:
            InputError: no such set-up, member or cell.
            WorkError: it is not merged yet.
        """
        networks = self._networks()
        name, runs = _chosen(networks, set_up, members)
        places = places_of(networks.store, ",".join(cells))
        found = [
            np.moveaxis(quantities_of_members(networks, name, runs, networks.store.read(place))[..., rows], -1, 0)
            for place, rows in zip(places.positions, places.rows, strict=True)
        ]
        array = labelled(np.concatenate(found).astype(float), TABLES)
        return array.assign_coords({"member": runs, **_coordinates(places)}).assign_attrs(set_up=name)

    def simulate(self, cell: str, members: Sequence[int] | int | None = None, set_up: str | None = None) -> xr.Dataset:
        """Simulate a cell of a patch with what networks give it.

        Args:
            cell: name of the cell.
            members: runs.
            set_up: its name, as PFT+CLIM.

        Returns:
            Monthly outputs, (member, time), with units and long names.

        Raises:
            InputError: no such cell, set-up or member.
            WorkError: it is not merged yet.
        """
        networks = self._networks()
        name, runs = _chosen(networks, set_up, members)
        places = places_of(networks.store, cell)
        if len(places.names) > 1:
            raise InputError(f"{self.directory}: {cell} is a patch, or several cells: name one; it has {places.names}")
        ((_, outputs),) = predicted(networks, name, runs, places.positions, tuple(QUANTITIES))
        edges = MonthAxis(networks.store.first_month, networks.store.months).edges
        variables = {
            key: (("member", "time"), values[..., places.rows[0][0]], _texts(key)) for key, values in outputs.items()
        }
        time = ("time", (edges[:-1] + edges[1:]) / 2, {"units": TIME_UNITS, "calendar": "standard", "axis": "T"})
        member = ("member", runs, {"long_name": "run of the network", "units": "1"})
        texts = {"title": f"phloem simulation of {cell}", "set_up": name, "mode": networks.table.mode}
        return xr.decode_cf(xr.Dataset(variables, {"member": member, "time": time}, texts))

    def evaluate(self, cell: str, members: Sequence[int] | int | None = None, gradient: bool = False) -> Evaluation:
        """Refuse: networks are scored over patches.

        Raises:
            InputError: always.
        """
        raise InputError(f"networks are scored over patches, not by cells: phloem report {self.directory}")

    @cached_property
    def plot(self) -> CampaignPlots:
        """None of them: they are of calibrated cells.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"{self.directory}: these figures are of calibrated cells; phloem report {self.directory} draws those of "
            "networks, and .parameters_of() gives what a map needs"
        )

    def _networks(self) -> TrainedNetworks:
        require_product(self._campaign)
        return read_networks(self._campaign)

    def __repr__(self) -> str:
        count = len(self._campaign.cells)
        return f"<phloem.OpenedTraining {self.name} in {self.directory}: {self.experiment}, {count} networks>"


def _chosen(
    networks: TrainedNetworks, set_up: str | None, members: Sequence[int] | int | None
) -> tuple[str, list[int]]:
    name = fullest_set_up(networks) if set_up is None else networks.set_ups[networks.place(set_up)]
    text = ALL_MEMBERS if members is None else ",".join(map(str, np.atleast_1d(np.asarray(members, int)).tolist()))
    return name, chosen_members(networks, name, text)


def _coordinates(places: ProductPlaces) -> dict[str, object]:
    return {
        "cell": list(places.names),
        "latitude": ("cell", places.latitude, {"units": "degrees_north"}),
        "longitude": ("cell", places.longitude, {"units": "degrees_east"}),
    }


def _texts(name: str) -> dict[str, str]:
    return {"units": QUANTITIES[name].unit, "long_name": QUANTITIES[name].meaning}
