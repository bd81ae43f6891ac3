"""Drivers of fluxes wherever they are: CF files, a folder of them, or a driver store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from types import MappingProxyType

from phloem.errors import InputError
from phloem.io.drivers.store import StorePaths
from phloem.io.files.own_variables import OwnVariables
from phloem.io.files.time_axis import StampsAt
from phloem.io.flux_drivers.cf_drivers import CfDrivers, driver_files
from phloem.io.flux_drivers.driver_recipes import DRIVERS, STATICS, described
from phloem.io.flux_drivers.driver_source import DriverSource
from phloem.io.flux_drivers.static_layers import StaticLayers
from phloem.io.flux_drivers.store_drivers import StoreDrivers


def open_drivers(
    path: Path,
    static: Path | None = None,
    stamps: StampsAt = "begin",
    own: OwnVariables = MappingProxyType({}),
    needed: Collection[str] = (),
) -> DriverSource:
    """Open drivers.

    Args:
        path: a CF file of (site, time) or (time, lat, lon), a folder of such files, or a driver store.
        static: a file of numbers of places, matched by coordinates; what the drivers have themselves goes first.
        stamps: where stamps stand in their months if a file has no time bounds.
        own: what the user says of variables, by the names of tower tables.
        needed: drivers whose months count: those that all of them have; empty: of all.

    Raises:
        InputError: naming the file and what is wrong with it.
    """
    unknown = [name for name in own if name not in (*DRIVERS, *STATICS)]
    if unknown:
        raise InputError(f"variables.{unknown[0]}: valid are {', '.join((*DRIVERS, *STATICS))}")
    layers = None if static is None else StaticLayers(static)
    if path.is_dir() and (StorePaths(path).index.is_file() or StorePaths(path).journal.is_file()):
        return StoreDrivers(path, layers)
    return CfDrivers(driver_files(path), stamps, own, layers, needed)


def require_one_of(source: DriverSource, alternatives: Sequence[Sequence[str]], what: str) -> None:
    """Refuse drivers that have none of some alternatives, with the names that would do.

    Args:
        source: of drivers.
        alternatives: drivers, each of them of one or of several that go together; none: nothing is refused.
        what: they tell of.

    Raises:
        InputError: there is none.
    """
    if not alternatives or any(all(source.has(name) for name in names) for names in alternatives):
        return
    ways = "; or ".join(" with ".join(described(name) for name in names) for names in alternatives)
    raise InputError(f"--drivers: nothing tells of {what}; needed is {ways}; {source.there()}")


def require_drivers(source: DriverSource, needed: tuple[str, ...]) -> None:
    """Refuse drivers that lack any of what is needed, with the names that would do.

    Raises:
        InputError: the first that lacks, and all others.
    """
    lacking = [name for name in needed if name in (*DRIVERS, *STATICS) and not source.has(name)]
    if lacking:
        raise InputError(
            f"--drivers: {lacking[0]} is missing; needed are {'; '.join(described(name) for name in lacking)}; "
            f"{source.there()}"
        )
