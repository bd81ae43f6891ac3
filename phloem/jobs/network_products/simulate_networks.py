"""`phloem simulate DIR` of trained networks: monthly outputs of the cells of patches as one CF-NetCDF file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import netCDF4
import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.tower_arrays import TIME_UNITS
from phloem.io.files.netcdf import CONVENTIONS
from phloem.io.files.replaced_netcdf import replaced_netcdf
from phloem.io.merge.ensemble_moments import ensemble_moments
from phloem.io.patches.patch_store import PatchStore, open_patches
from phloem.jobs.campaign.backend import require_backend
from phloem.jobs.campaign.campaign import open_campaign
from phloem.jobs.config.year_range import year_range
from phloem.jobs.network.trained_networks import TrainedNetworks, read_networks
from phloem.jobs.network_products.output_names import QUANTITIES, STATES, chosen_outputs
from phloem.jobs.network_products.parameter_maps import deviation_name
from phloem.jobs.network_products.predict import MEAN, chosen_members, fullest_set_up, predicted
from phloem.jobs.network_products.product_places import ProductPlaces, places_of
from phloem.jobs.network_products.written_apart import AGAIN, WHOLE, written_apart
from phloem.jobs.single_cell import check_out
from phloem.kernels.models.dalec_monthly.forcing_terms import MONTH
from phloem.kernels.network.patch_cells import MonthAxis

YEAR = 12
WHATS = ("monthly", "annual")


@dataclass(frozen=True)
class PredictionChoice:
    """What is simulated with trained networks.

    Attributes:
        what: monthly or annual.
        set_up: whose networks; empty: the fullest of the campaign.
        members: `mean`, `all`, or numbers with commas between them.
        cells: names of patches or cells with commas between them; empty: all.
        years: first and last year that is kept, as 2001-2010; empty: all. Those before them are run all the same.
        outputs: names with commas between them; empty: `output_names.DEFAULT_OUTPUTS`.
        drivers: another patch store than that of the campaign.
    """

    what: str = "monthly"
    set_up: str = ""
    members: str = MEAN
    cells: str = ""
    years: str = ""
    outputs: str = ""
    drivers: Path | None = None


@dataclass(frozen=True, eq=False)
class Prediction:
    """Outputs of some networks.

    Attributes:
        networks: of the campaign.
        store: of the patches that are simulated.
        set_up: of the networks.
        members: runs.
        mean: whether mean and spread over the members are shown, or each.
        what: monthly or annual.
        names: of the outputs.
        months: first of those that are kept, and the one behind them.
    """

    networks: TrainedNetworks
    store: PatchStore
    set_up: str
    members: list[int]
    mean: bool
    what: str
    names: tuple[str, ...]
    months: tuple[int, int]

    @property
    def axis(self) -> MonthAxis:
        """Months of the store."""
        return MonthAxis(self.store.first_month, self.store.months)

    @property
    def bounds(self) -> np.ndarray:
        """Begin and end of each period, days since 2001-01-01, (periods, 2)."""
        edges = self.axis.edges[self.months[0] : self.months[1] + 1]
        edges = edges[::YEAR] if self.what == "annual" else edges
        return np.stack([edges[:-1], edges[1:]], 1)

    def patches(self, places: ProductPlaces) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """Return number and outputs of one patch after the other: (periods, cells), or (members, periods, cells)."""
        run = predicted(self.networks, self.set_up, self.members, places.positions, self.names, self.store)
        for number, (_, outputs) in enumerate(run):
            found = {}
            for name in self.names:
                values = self._of_periods(outputs[name])
                if not self.mean:
                    found[name] = values
                    continue
                found[name], found[deviation_name(name)] = ensemble_moments(values)
            yield number, found

    def _of_periods(self, values: np.ndarray) -> np.ndarray:
        """Months, or means of years by the lengths that the model's months have, of (members, months, cells)."""
        kept = values[:, slice(*self.months)]
        if self.what == "monthly":
            return kept
        lengths = self.axis.lengths if self.networks.table.mode == "strict" else np.full(self.axis.count, MONTH)
        weight = lengths[slice(*self.months)].reshape(-1, YEAR)
        months = kept.reshape(len(kept), -1, YEAR, kept.shape[-1]).astype(float)
        means: np.ndarray = np.einsum("pymc,ym->pyc", months, weight) / weight.sum(1)[None, :, None]
        return means


def write_predictions(directory: Path, out: Path, choice: PredictionChoice = PredictionChoice()) -> Path:
    """Write monthly or annual outputs of trained networks, in a process of its own.

    Raises:
        InputError: no such set-up, member, cell, year, output or store; nothing is written.
        WorkError: the campaign is not merged, an output is not finite, or the file cannot be written.
    """
    check_out(out)
    networks = read_networks(open_campaign(directory))
    require_backend(networks.campaign.configuration)
    prediction_of(networks, choice)
    return written_apart(f"{__name__}:write_predictions_apart", (directory, out, choice), out)


def write_predictions_apart(work: tuple[Path, Path, PredictionChoice], report: Callable[[float], None]) -> Path:
    """Write the outputs.

    Args:
        work: directory of the campaign, the file, and what is simulated.
        report: told the per cents that are done.
    """
    directory, out, choice = work
    prediction = prediction_of(read_networks(open_campaign(directory)), choice)
    places = places_of(prediction.store, choice.cells)
    with replaced_netcdf(out, AGAIN) as file:
        variables = _define(file, prediction, places)
        for number, found in prediction.patches(places):
            for name, values in found.items():
                places.put(variables[name], number, values)
            report(WHOLE * (number + 1) / len(places.positions))
    return out


def prediction_of(networks: TrainedNetworks, choice: PredictionChoice) -> Prediction:
    """Return what is simulated with some networks.

    Raises:
        InputError: no such set-up, member, year, output or store.
    """
    if choice.what not in WHATS:
        raise InputError(f"--what {choice.what}: networks' model has steps of a month: {' or '.join(WHATS)} is due")
    names = chosen_outputs(choice.outputs)
    set_up = networks.set_ups[networks.place(choice.set_up)] if choice.set_up else fullest_set_up(networks)
    members = chosen_members(networks, set_up, choice.members)
    store = networks.store if choice.drivers is None else open_patches(choice.drivers)
    if store.months % YEAR or store.first_month.astype(int) % YEAR:
        raise InputError(
            f"{store.paths.root}: {store.months} months from {store.first_month} on: whole years from a January on "
            "are due"
        )
    first, last = _kept_months(store, choice.years)
    return Prediction(networks, store, set_up, members, choice.members == MEAN, choice.what, names, (first, last))


def _kept_months(store: PatchStore, years: str) -> tuple[int, int]:
    if not years:
        return 0, store.months
    begin = 1970 + int(store.first_month.astype(int)) // YEAR
    wanted = year_range(years)
    first, last = (YEAR * (year - begin) for year in (wanted[0], wanted[1] + 1))
    kept = max(0, first), min(store.months, last)
    if kept[0] >= kept[1]:
        raise InputError(
            f"--years {years}: {store.paths.root} has the years {begin}-{begin + store.months // YEAR - 1}"
        )
    return kept


def _define(file: netCDF4.Dataset, prediction: Prediction, places: ProductPlaces) -> dict[str, netCDF4.Variable]:
    networks, what = prediction.networks, prediction.what
    campaign, table = networks.campaign, networks.table
    own = prediction.store is networks.store
    file.setncatts(
        {
            "Conventions": CONVENTIONS,
            "title": f"phloem simulation with the networks of the training {campaign.configuration.campaign.name}",
            "source": f"phloem {campaign.version}",
            "experiment": table.name,
            "set_up": prediction.set_up,
            "members": ",".join(map(str, prediction.members)),
            "mode": table.mode,
            "precision": table.precision,
            "month_length": f"{MONTH:g} days" if table.mode == "compat" else "of the calendar",
            "configuration_hash": campaign.configuration.fingerprint(),
            "drivers": "those of the training" if own else str(prediction.store.paths.root),
            "patches_sha256": prediction.store.checksum,
            "comment": "fluxes are means of the month; lai is that of its start, pools those of its end, after fire",
        }
    )
    bounds = prediction.bounds
    file.createDimension("time", len(bounds))
    file.createDimension("bnds", 2)
    leading: tuple[str, ...] = ("time",)
    if not prediction.mean:
        leading = ("member", "time")
        file.createDimension("member", len(prediction.members))
        member = file.createVariable("member", "i4", ("member",))
        member.setncatts({"long_name": "run of the network", "units": "1", "standard_name": "realization"})
        member[:] = prediction.members
    time = file.createVariable("time", "f8", ("time",))
    time.setncatts({"units": TIME_UNITS, "calendar": "standard", "standard_name": "time", "axis": "T"})
    time.bounds = "time_bnds"
    time[:] = bounds.mean(1)
    file.createVariable("time_bnds", "f8", ("time", "bnds"))[:] = bounds
    places.define(file)
    variables = {}
    for name in prediction.names:
        one = QUANTITIES[name]
        texts = {"units": one.unit, "long_name": one.meaning}
        if what == "annual" or name not in STATES:
            texts["cell_methods"] = "time: mean"
        kind = networks.weights.dtype.str[1:]
        variables[name] = places.create(file, name, kind, leading, texts)
        if prediction.mean:
            spread = {"units": one.unit, "long_name": f"standard deviation over the members: {one.meaning}"}
            variables[deviation_name(name)] = places.create(file, deviation_name(name), kind, leading, spread)
    return variables
