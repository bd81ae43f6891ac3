"""`phloem parameters DIR` of trained networks: maps of the 40 quantities, by set-up, as one CF-NetCDF file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from phloem.errors import InputError
from phloem.io.files.netcdf import CONVENTIONS, put_texts
from phloem.io.files.replaced_netcdf import replaced_netcdf
from phloem.io.merge.by_name import named_variables
from phloem.io.merge.ensemble_moments import ensemble_moments
from phloem.io.patches.stored_patch import StoredPatch
from phloem.jobs.campaign.campaign import open_campaign
from phloem.jobs.config.parameters_file import NETCDF
from phloem.jobs.network.trained_networks import SPLIT, TrainedNetworks, chosen_set_ups, read_networks
from phloem.jobs.network_products.predict import MEAN, chosen_members, quantities_of_members
from phloem.jobs.network_products.product_places import ProductPlaces, places_of
from phloem.jobs.network_products.written_apart import AGAIN, WHOLE, written_apart
from phloem.jobs.single_cell import check_out
from phloem.kernels.models.dalec_monthly.file_names import TABLES

KIND = "f4"


@dataclass(frozen=True)
class MapChoice:
    """What maps show.

    Attributes:
        set_ups: names with commas between them; empty: all of the campaign.
        members: `mean`, `all`, or numbers with commas between them.
        cells: names of patches or cells with commas between them; empty: all.
    """

    set_ups: str = ""
    members: str = MEAN
    cells: str = ""


@dataclass(frozen=True, eq=False)
class ParameterMaps:
    """Maps of some networks.

    Attributes:
        networks: of the campaign.
        set_ups: that are shown.
        members: runs of each set-up.
        mean: whether mean and spread over the members are shown, or each.
        places: of the cells.
    """

    networks: TrainedNetworks
    set_ups: tuple[str, ...]
    members: dict[str, list[int]]
    mean: bool
    places: ProductPlaces

    @property
    def runs(self) -> list[int]:
        """Runs of which any network is shown."""
        return sorted({run for runs in self.members.values() for run in runs})

    def of_patch(self, patch: StoredPatch) -> dict[str, np.ndarray]:
        """Return the maps of a patch's cells by name: (set-ups, cells), or (set-ups, runs, cells) of each member."""
        shape = (len(self.set_ups), *(() if self.mean else (len(self.runs),)), len(patch))
        names = [*TABLES.unknown_names, *(deviation_name(one) for one in TABLES.unknown_names if self.mean)]
        found = {name: np.full(shape, np.nan) for name in names}
        for place, set_up in enumerate(self.set_ups):
            members = self.members[set_up]
            values = quantities_of_members(self.networks, set_up, members, patch).astype(float)
            for number, (name, one) in enumerate(zip(TABLES.unknown_names, TABLES.unknowns, strict=True)):
                # What rounding took a hair beyond a bound is put on it, or readers would hide it.
                series = np.clip(values[:, number], one.lower, one.upper)
                if not self.mean:
                    found[name][place, [self.runs.index(run) for run in members]] = series
                    continue
                found[name][place], found[deviation_name(name)][place] = ensemble_moments(series, one.period)
        return found

    def patches(self) -> Iterator[tuple[int, StoredPatch, dict[str, np.ndarray]]]:
        """Return number, patch and maps of one patch after the other."""
        for number, position in enumerate(self.places.positions):
            patch = self.networks.store.read(position)
            yield number, patch, self.of_patch(patch)


def deviation_name(name: str) -> str:
    """Return the name of the spread of a quantity."""
    return f"{name}_sd"


def write_parameter_maps(directory: Path, out: Path, choice: MapChoice = MapChoice()) -> Path:
    """Write maps of the quantities that trained networks give, in a process of its own.

    Raises:
        InputError: no such set-up, member or cell, or a file that cannot be; nothing is written.
        WorkError: the campaign is not merged, or the file cannot be written.
    """
    check_out(out)
    if out.suffix != NETCDF:
        raise InputError(f"--out {out}: maps of networks are NetCDF; name a file that ends with {NETCDF}")
    networks = read_networks(open_campaign(directory))
    _chosen(networks, choice)
    return written_apart(f"{__name__}:write_maps_apart", (directory, out, choice), out)


def write_maps_apart(work: tuple[Path, Path, MapChoice], report: Callable[[float], None]) -> Path:
    """Write the maps.

    Args:
        work: directory of the campaign, the file, and what is shown.
        report: told the per cents that are done.
    """
    directory, out, choice = work
    maps = parameter_maps(read_networks(open_campaign(directory)), choice)
    with replaced_netcdf(out, AGAIN) as file:
        variables = _define(file, maps)
        for number, _, found in maps.patches():
            for name, values in found.items():
                maps.places.put(variables[name], number, values)
            _put_split(maps, variables["split"], number)
            report(WHOLE * (number + 1) / len(maps.places.positions))
    return out


def parameter_maps(networks: TrainedNetworks, choice: MapChoice) -> ParameterMaps:
    """Return what is shown of some networks.

    Raises:
        InputError: no such set-up, member or cell.
    """
    set_ups, members = _chosen(networks, choice)
    return ParameterMaps(networks, set_ups, members, choice.members == MEAN, places_of(networks.store, choice.cells))


def _chosen(networks: TrainedNetworks, choice: MapChoice) -> tuple[tuple[str, ...], dict[str, list[int]]]:
    named = [part.strip() for part in choice.set_ups.split(",") if part.strip()]
    set_ups = tuple(dict.fromkeys(chosen_set_ups(networks, named)))
    return set_ups, {name: chosen_members(networks, name, choice.members) for name in set_ups}


def _define(file: netCDF4.Dataset, maps: ParameterMaps) -> dict[str, netCDF4.Variable]:
    networks, runs = maps.networks, maps.runs
    campaign, table = networks.campaign, networks.table
    file.setncatts(
        {
            "Conventions": CONVENTIONS,
            "title": f"phloem: quantities that the networks of {campaign.configuration.campaign.name} give",
            "source": f"phloem {campaign.version}",
            "experiment": table.name,
            "mode": table.mode,
            "configuration_hash": campaign.configuration.fingerprint(),
            "patches_sha256": networks.store.checksum,
            "members_rule": f"those that count: the {table.keep} of each set-up with the least loss in the last epoch",
            "comment": "physical values; each network's predictors are standardised by its own run's training cells",
        }
    )  # fmt: skip
    for name, length in (("set_up", len(maps.set_ups)), ("member", len(runs)), ("bnds", 2)):
        file.createDimension(name, length)
    put_texts(file, "set_up", "set_up", maps.set_ups, {"long_name": "groups of predictors that the network sees"})
    member = file.createVariable("member", "i4", ("member",))
    member.setncatts({"long_name": "run of the network", "units": "1", "standard_name": "realization"})
    member[:] = runs
    shown = file.createVariable("shown", "i1", ("set_up", "member"))
    flags = {"flag_values": np.array([0, 1], np.int8), "flag_meanings": "no yes"}
    shown.setncatts({"long_name": "whether the network is one of those that are shown or averaged", **flags})
    shown[:] = [[run in maps.members[name] for run in runs] for name in maps.set_ups]
    maps.places.define(file)
    leading = ("set_up",) if maps.mean else ("set_up", "member")
    variables = {}
    for (name, texts), one in zip(named_variables(TABLES).items(), TABLES.unknowns, strict=True):
        variables[name] = maps.places.create(file, name, KIND, leading, _texts(texts, one.period, maps.mean))
        if maps.mean:
            how = "circular standard deviation" if one.period else "standard deviation"
            spread = {"units": texts["units"], "long_name": f"{how} over the members: {texts['long_name']}"}
            variables[deviation_name(name)] = maps.places.create(file, deviation_name(name), KIND, leading, spread)
    variables["split"] = maps.places.create(
        file, "split", "i1", ("member",),
        {
            "long_name": "what the cell's patch was to the run",
            "flag_values": np.array(list(SPLIT.values()), np.int8),
            "flag_meanings": " ".join(SPLIT),
        },
    )  # fmt: skip
    return variables


def _texts(texts: dict[str, Any], period: float, mean: bool) -> dict[str, Any]:
    """Attributes of a quantity; those of a circular mean have the range of its period."""
    limits = np.array([0.0, period]) if period and mean else np.asarray(texts["valid_range"])
    # In the variable's own precision, outward: a bound that was rounded inward would hide a value that stands on it.
    rounded = limits.astype(KIND)
    rounded[0] = rounded[0] if rounded[0] <= limits[0] else np.nextafter(rounded[0], np.float32(-np.inf))
    rounded[1] = rounded[1] if rounded[1] >= limits[1] else np.nextafter(rounded[1], np.float32(np.inf))
    how = ", circular mean over the members" if period else ", mean over the members"
    return {**texts, "long_name": texts["long_name"] + (how if mean else ""), "valid_range": rounded}


def _put_split(maps: ParameterMaps, variable: netCDF4.Variable, number: int) -> None:
    split = maps.networks.split[maps.runs, maps.places.positions[number]]
    cells = int(maps.places.rows[number].max()) + 1
    maps.places.put(variable, number, np.broadcast_to(split[:, None], (len(split), cells)))
