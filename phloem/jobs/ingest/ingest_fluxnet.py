"""`phloem ingest --what fluxnet`: tower files from tables of FLUXNET, AmeriFlux and ICOS, as downloaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.fluxnet_tables import FluxnetDays, list_tables, read_days
from phloem.io.drivers.tower_cell import Cell, count_training_days, day_of_year
from phloem.io.drivers.tower_files import COORDINATES, coordinates_in, write_tower
from phloem.jobs.progress import ProgressBar
from phloem.names import FORCING, STREAMS


def ingest_fluxnet(source: Path, out: Path) -> list[str]:
    """Write a tower file for each table of half hours.

    Args:
        source: a table, a ZIP archive as downloaded, or a folder of either, with a `site_coords.csv` beside the files
            or in `out`.
        out: folder of the tower files; made where it is not there.

    Returns:
        Lines for people.

    Raises:
        InputError: no such table, a site that stands twice or has no latitude; nothing is written then.
    """
    tables = list_tables(source)
    folder = source if source.is_dir() else source.parent
    listed = next((path for path in (folder / COORDINATES, out / COORDINATES) if path.is_file()), None)
    if listed is None:
        raise InputError(f"{folder / COORDINATES}: is missing; the tables do not say where their sites are: "
                         "columns SITE_ID, lat, lon are due")  # fmt: skip
    made: dict[str, FluxnetDays] = {}
    with ProgressBar("reading tables", len(tables)) as bar:
        for count, table in enumerate(tables, 1):
            days = read_days(table)
            if days.site in made:
                raise InputError(
                    f"{table.file.path}: site {days.site} stands twice: half hours and hours, or two releases"
                )
            made[days.site] = days
            bar.update(count, days.site)
    places = {site: coordinates_in(listed, site) for site in made}
    if lost := [site for site, place in places.items() if not -90.0 <= place.get("lat", np.nan) <= 90.0]:
        raise InputError(f"{listed}: no latitude of {', '.join(lost)}")
    out.mkdir(parents=True, exist_ok=True)
    lines = []
    for site, days in made.items():
        write_tower(out / f"{site}.nc", _cell(days, places[site]))
        lines += [f"{out / f'{site}.nc'}: {days.notes[0]}", *(f"  {note}" for note in days.notes[1:])]
    return [*lines, f'next: data.kind = "tower", data.path = "{out}" in a campaign file']


def _cell(days: FluxnetDays, place: dict[str, float]) -> Cell:
    nothing = np.full(len(days.time), np.nan)
    return Cell(
        name=days.site,
        latitude=place["lat"],
        longitude=place.get("lon", float("nan")),
        time=days.time,
        doy=day_of_year(days.time),
        forcing={name: days.values[name] for name in FORCING},
        observations={name: days.values.get(name, nothing) for name in STREAMS},
        evaporative_fraction=nothing,
        training_days=count_training_days(days.time),
    )
