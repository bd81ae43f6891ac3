"""DIR/benchmark of networks: scores as JSON and CSV, r2 of single places as NetCDF, figures; whole or not there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from phloem.analysis.attribution.result_files import plain, to_csv
from phloem.analysis.network.evaluated_set_up import EvaluatedSetUp
from phloem.analysis.network.network_figures import errors_figure, sites_figure
from phloem.analysis.network.score_figures import set_up_scores_figure
from phloem.analysis.network.set_up_partition import NormalisedError, normalised_errors
from phloem.analysis.style.plot_style import to_png
from phloem.errors import WorkError, unreadable
from phloem.io.files.netcdf import CONVENTIONS, FILL, filled, put_texts, write_netcdf
from phloem.io.files.whole_folder import whole_folder
from phloem.io.patches.stored_patch import UNITS
from phloem.version import VERSION

RESULT = "benchmark.json"
PLACES = "places.nc"
REFERENCE = "PFT"
"""Set-up by whose errors those of others are divided."""

COMPARED = ("PFT", "CLIM+AGE+SOIL", "PFT+CLIM+AGE+SOIL")
"""Set-ups whose errors are drawn side by side."""


@dataclass(frozen=True, eq=False)
class PlacesOfStore:
    """Cells and patches of a store, by the numbers that scores know them by.

    Attributes:
        cells: names.
        latitude, longitude: of the cells, degrees.
        patches: names.
        middle: latitude and longitude of the patches' middles, (2, patches).
    """

    cells: Sequence[str]
    latitude: np.ndarray
    longitude: np.ndarray
    patches: Sequence[str]
    middle: np.ndarray


def errors_of(set_ups: Sequence[EvaluatedSetUp]) -> dict[str, list[NormalisedError]]:
    """Return mean absolute errors of set-ups over that of PFT alone, by stream; none where PFT was not scored."""
    found = {}
    streams = dict.fromkeys(stream for one in set_ups for stream in one.ensemble)
    for stream in streams:
        errors: dict[Sequence[str], np.ndarray] = {
            tuple(one.set_up.split("+")): np.array(one.of_each(stream, "pooled", "mae"), float)
            for one in set_ups
            if stream in one.ensemble
        }
        if (REFERENCE,) in errors:
            found[stream] = normalised_errors(errors, (REFERENCE,))
    return found


def write_scores(
    folder: Path, set_ups: Sequence[EvaluatedSetUp], places: PlacesOfStore, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the folder, in place of what was there.

    Args:
        folder: to write.
        set_ups: scores of each, at least one.
        places: of the store.
        facts: further keys of benchmark.json, with `ceiling`.

    Returns:
        What benchmark.json holds.
    """
    errors = errors_of(set_ups)
    document: dict[str, Any] = plain(
        {
            "version": VERSION,
            **facts,
            "set_ups": [one.to_json() for one in set_ups],
            "errors": {stream: [row.to_json() for row in rows] for stream, rows in errors.items()},
        }
    )
    with whole_folder(folder) as draft:
        (draft / "scores.csv").write_bytes(to_csv([row for one in set_ups for row in plain(one.rows())]))
        write_netcdf(draft / PLACES, lambda file: _fill(file, set_ups, places))
        for name, png in _figures(document, set_ups, errors).items():
            (draft / name).write_bytes(png)
        text = json.dumps(document, indent=1, allow_nan=False) + "\n"
        (draft / RESULT).write_text(text, encoding="utf-8")
    return document


def _figures(
    document: Mapping[str, Any], set_ups: Sequence[EvaluatedSetUp], errors: Mapping[str, list[NormalisedError]]
) -> dict[str, bytes]:
    scores = {
        one.set_up: {
            stream: _number(levels["members"]["pooled"]["nse"]["mean"]) for stream, levels in json_["streams"].items()
        }
        for one, json_ in zip(set_ups, document["set_ups"], strict=True)
    }
    found = {}
    if any(scores.values()):
        found["scores.png"] = to_png(
            set_up_scores_figure(scores, "NSE of all pairs, mean of the networks", document["ceiling"]), dpi=150
        )
    drawn = {
        stream: [row for name in COMPARED for row in rows if row.groups == tuple(name.split("+"))]
        for stream, rows in errors.items()
    }
    drawn = {stream: rows for stream, rows in drawn.items() if len(rows) > 1}
    whole = {tuple(row.groups for row in rows) for rows in drawn.values()}
    if len(whole) == 1:
        found["errors.png"] = to_png(errors_figure(drawn), dpi=150)
    widest = max(set_ups, key=lambda one: len(one.set_up.split("+")))
    for stream, towers in widest.towers.items():
        if towers.sites:
            found[f"{stream}.png"] = to_png(sites_figure(towers, UNITS[stream][0]), dpi=100)
    return found


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _fill(file: netCDF4.Dataset, set_ups: Sequence[EvaluatedSetUp], places: PlacesOfStore) -> None:
    """Put in r2 of every set-up, network and place, of each stream over its own places."""
    file.setncatts({"Conventions": CONVENTIONS, "title": "phloem benchmark of networks", "source": f"phloem {VERSION}"})
    file.createDimension("set_up", len(set_ups))
    file.createDimension("scored", max(len(one.scored) for one in set_ups))
    put_texts(file, "set_up", "set_up", [one.set_up for one in set_ups], {"long_name": "set-up of predictors"})
    for stream in dict.fromkeys(name for one in set_ups for name in one.r2):
        having = [one for one in set_ups if stream in one.r2]
        ids = having[0].places[stream]
        of_patch = having[0].ensemble[stream]["of"] == "patch"
        names = places.patches if of_patch else places.cells
        north, east = places.middle[:, ids] if of_patch else (places.latitude[ids], places.longitude[ids])
        dimension = f"place_{stream}"
        file.createDimension(dimension, len(ids))
        put_texts(file, f"name_{stream}", dimension, [names[n] for n in ids], {"long_name": "cell or patch"})
        for name, values, units in (("lat", north, "degrees_north"), ("lon", east, "degrees_east")):
            file.createVariable(f"{name}_{stream}", "f8", (dimension,))[:] = values
            file[f"{name}_{stream}"].units = units
        file.createVariable(f"id_{stream}", "i4", (dimension,))[:] = ids
        shape = ("set_up", "scored", dimension)
        variable = file.createVariable(f"r2_{stream}", "f4", shape, fill_value=FILL, zlib=True, complevel=1)
        variable.setncatts({"units": "1", "long_name": f"squared correlation over time, {stream}"})
        for number, one in enumerate(set_ups):
            if stream in one.r2 and np.array_equal(one.places[stream], ids):
                variable[number, : len(one.scored)] = filled(one.r2[stream])


@dataclass(frozen=True, eq=False)
class PlaceScores:
    """Squared correlations of single places.

    Attributes:
        ids: numbers of the cells, or of the patches, (places,).
        of_patches: which of the two.
        latitude, longitude: degrees, (places,).
        r2: by set-up, (scored, places), NaN where it is none.
    """

    ids: np.ndarray
    of_patches: bool
    latitude: np.ndarray
    longitude: np.ndarray
    r2: Mapping[str, np.ndarray]


def read_places(folder: Path, document: Mapping[str, Any], stream: str) -> PlaceScores | None:
    """Read what `write_scores` has written of a stream's places; None where it was not scored place by place.

    Args:
        folder: of the benchmark.
        document: its benchmark.json.
        stream: its name.

    Raises:
        WorkError: the file cannot be read.
    """
    scored = {one["set_up"]: (len(one["scored"]), one["streams"].get(stream)) for one in document["set_ups"]}
    path = folder / PLACES
    try:
        with netCDF4.Dataset(str(path)) as file:
            if f"r2_{stream}" not in file.variables:
                return None
            values = np.ma.filled(file[f"r2_{stream}"][:].astype(float), np.nan)
            r2 = {}
            for number, name in enumerate(str(one) for one in file["set_up"][:]):
                count, about = scored[name]
                if about is not None:
                    r2[name] = values[number, :count]
            north, east, ids = (np.asarray(file[f"{name}_{stream}"][:]) for name in ("lat", "lon", "id"))
    except (OSError, RuntimeError, IndexError, KeyError) as error:
        raise unreadable(path, error, f"phloem benchmark {folder.parent}") from error
    if not r2:
        raise WorkError(f"{path}: no set-up of {RESULT} is in it; `phloem benchmark {folder.parent}` writes both")
    of_patches = next(about["of"] for _, about in scored.values() if about is not None) == "patch"
    return PlaceScores(ids, of_patches, north, east, r2)
