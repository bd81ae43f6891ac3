"""DIR/attribution of a training: JSON, tables, maps and figures; whole or not there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from phloem.analysis.attribution.result_files import plain, to_csv
from phloem.analysis.interpret.climate_response import ClimateResponse
from phloem.analysis.interpret.interpretation_figures import (
    climate_response_figure,
    curves_figure,
    loadings_figure,
    network_importance_figure,
    swarm_figure,
)
from phloem.analysis.interpret.trait_curves import LEAST_CELLS, TraitEnvironment
from phloem.analysis.network.member_agreement import MemberAgreement
from phloem.analysis.network.network_figures import dominance_figure, shares_figure
from phloem.analysis.network.set_up_partition import LITTLE
from phloem.analysis.parameters.strategy_axes import Axes
from phloem.analysis.style.plot_style import to_png
from phloem.io.files.netcdf import CONVENTIONS, FILL, filled, put_texts, write_netcdf
from phloem.io.files.whole_folder import whole_folder
from phloem.jobs.config.network_attribution_file import NetworkAttributionFile
from phloem.jobs.network.trained_networks import TrainedNetworks
from phloem.jobs.network_analyses.explanations import Explanations
from phloem.jobs.network_analyses.partition import StreamPartition
from phloem.jobs.network_analyses.predictor_cells import PredictorCells
from phloem.version import VERSION

RESULT = "attribution.json"


@dataclass(frozen=True, eq=False)
class NetworkAttribution:
    """What was found of a training.

    Attributes:
        networks: of the campaign.
        cells: of its store.
        file: the choices.
        scores: its benchmark.json, or why there is none.
        shares: of the explained variance, by stream.
        screens: how far networks agree, by set-up.
        unscreened: set-ups without, and why.
        axes: principal components, or why there are none.
        explained: Shapley values.
        traits: curves, or why there are none.
        response: traits in a changed climate, or why there are none; None where none was asked for.
    """

    networks: TrainedNetworks
    cells: PredictorCells
    file: NetworkAttributionFile
    scores: dict[str, Any] | str
    shares: list[StreamPartition]
    screens: list[MemberAgreement]
    unscreened: dict[str, str]
    axes: Axes | str
    explained: Explanations
    traits: TraitEnvironment | str
    response: ClimateResponse | str | None

    def left_out(self) -> list[str]:
        """Return what could not be done, and why."""
        lines: dict[str, list[str]] = {}
        for one in self.shares:
            if one.refused:
                lines.setdefault(one.refused, []).append(one.stream)
        found = [f"shares of {', '.join(streams)}: {why}" for why, streams in lines.items()]
        if isinstance(self.scores, str):
            found.append(f"shares: {self.scores}")
        found += [f"agreement of {set_up}: {why}" for set_up, why in self.unscreened.items()]
        found += [f"Shapley values of {name or 'all cells'}: {why}" for name, why in self.explained.refused.items()]
        if self.explained.scarce:
            found.append(
                f"cells of {', '.join(self.explained.scarce)} apart: fewer than {LEAST_CELLS} are covered by the type "
                f"to {self.file.shap.share:g} % and seen by all networks"
            )
        for words, part in (("components", self.axes), ("curves", self.traits), ("projection", self.response)):
            if isinstance(part, str):
                found.append(f"{words}: {part}")
        if isinstance(self.traits, TraitEnvironment):
            found += [f"curves of {name}: {why}" for name, why in self.traits.refused.items()]
        return found

    def to_json(self) -> dict[str, Any]:
        """Return what attribution.json holds."""
        configuration = self.networks.campaign.configuration
        curves = self.traits if isinstance(self.traits, TraitEnvironment) else None
        document: dict[str, Any] = plain(
            {
                "version": VERSION,
                "campaign": configuration.campaign.name,
                "configuration_hash": configuration.fingerprint(),
                "patches_sha256": self.networks.store.checksum,
                "scored_patches_sha256": (
                    None if isinstance(self.scores, str) else self.scores["scored_patches_sha256"]
                ),
                "settings": self.file.model_dump(),
                "set_up": self.explained.set_up,
                "cells": len(self.cells),
                "partition": [one.to_json() for one in self.shares],
                "identifiability": {
                    "screens": [one.to_json() for one in self.screens],
                    "refused": self.unscreened,
                },
                "pca": self.axes.to_json() if isinstance(self.axes, Axes) else {"refused": self.axes},
                "shap": self.explained.to_json(),
                "curves": [
                    {key: value for key, value in one.to_json().items() if key not in ("grid", "trend")}
                    for one in (curves.curves if curves else ())
                ],
                "projection": self.response.to_json() if isinstance(self.response, ClimateResponse) else None,
                "left_out": self.left_out(),
                "refused": self._refused(),
            }
        )
        return document

    def _refused(self) -> str:
        """Why nothing at all was found; empty where anything was."""
        anything = self.screens or self.explained.values or any(one.pooled for one in self.shares)
        if anything or isinstance(self.axes, Axes) or not isinstance(self.traits, str):
            return ""
        return "\n  ".join(["nothing could be attributed:", *self.left_out()])


def write_attribution(folder: Path, found: NetworkAttribution) -> dict[str, Any]:
    """Write the folder, in place of what was there; where nothing was found, it is left as it was.

    Returns:
        What attribution.json holds.
    """
    document = found.to_json()
    if document["refused"]:
        return document
    with whole_folder(folder) as draft:
        for name, rows in _tables(document, found).items():
            (draft / name).write_bytes(to_csv(rows))
        if any(one.by_place for one in found.shares):
            write_netcdf(draft / "partition.nc", lambda file: _fill_partition(file, found))
        for name, dataset in _datasets(found):
            dataset.attrs |= {"Conventions": CONVENTIONS, "source": f"phloem {VERSION}"}
            dataset.to_netcdf(draft / name)
        for name, figure in _figures(found):
            (draft / name).write_bytes(to_png(figure, dpi=120))
        text = json.dumps(document, indent=1, allow_nan=False) + "\n"
        (draft / RESULT).write_text(text, encoding="utf-8")
    return document


def _tables(document: dict[str, Any], found: NetworkAttribution) -> dict[str, list[dict[str, Any]]]:
    shares, importance = [], []
    for one in document["partition"]:
        truth, mapped = one["truth"] or {}, one["by_place"]
        fractions = {row["group"]: row for row in mapped["groups"]} if mapped else {}
        for row in (one["pooled"] or {"groups": []})["groups"]:
            about = fractions.get(row["group"], {})
            shares.append(
                {"stream": one["stream"], "total": one["pooled"]["total"], **row, "truth": truth.get(row["group"]),
                 "places_led": about.get("fraction"), "area_led": about.get("fraction_of_area")}
            )  # fmt: skip
    for one in document["shap"]["importance"]:
        about = {"quantity": one["quantity"], "unit": one["unit"], "plant_type": one["plant_type"] or "all"}
        importance += [{**about, "cells": one["cells"], **row} for row in one["predictors"]]
    screens = [
        {"set_up": "+".join(one["set_up"]), "screen": kind, "limit": one[kind]["limit"], "parameter": row["parameter"],
         "read": row["read"], "cells_at_bounds": row["cells_at_bounds"], "median_cv": row["median_cv"],
         "cells": row["cells"], "kept": row.get("kept"), "share_kept": row.get("share_kept")}
        for one in document["identifiability"]["screens"] for kind in ("std", "mad") for row in one[kind]["rows"]
    ]  # fmt: skip
    curves = [
        {"trait": one.trait, "unit": one.unit, "predictor": one.predictor, "plant_type": one.plant_type, "x": x, "y": y}
        for one in (found.traits.curves if isinstance(found.traits, TraitEnvironment) else ())
        for x, y in zip(plain(one.grid), plain(one.trend), strict=True)
    ]
    tables = {"shares.csv": shares, "importance.csv": importance, "identifiability.csv": screens, "curves.csv": curves}
    pca = document["pca"]
    if not pca.get("refused"):
        tables["pca.csv"] = [
            {"component": number, "explained": share, **dict(zip(pca["variables"], row, strict=True))}
            for number, (share, row) in enumerate(zip(pca["explained"], pca["loadings"], strict=True), 1)
        ]
    return {name: rows for name, rows in tables.items() if rows}


def _datasets(found: NetworkAttribution) -> Iterator[tuple[str, xr.Dataset]]:
    for plant_type, values in found.explained.values.items():
        yield f"shap_{plant_type}.nc" if plant_type else "shap.nc", values.to_dataset()
    if isinstance(found.response, ClimateResponse):
        yield "projection.nc", found.response.to_dataset().assign_coords(cell=("cell", found.cells.names))
    if isinstance(found.axes, Axes):
        scores = found.axes.scores
        yield (
            "pca_scores.nc",
            xr.Dataset(
                {"score": (("cell", "component"), scores, {"long_name": "score on the principal component"})},
                {
                    "cell": ("cell", found.cells.names),
                    "lat": ("cell", found.cells.latitude, {"units": "degrees_north"}),
                    "lon": ("cell", found.cells.longitude, {"units": "degrees_east"}),
                    "component": ("component", np.arange(1, scores.shape[1] + 1)),
                },
            ),
        )


def _figures(found: NetworkAttribution) -> Iterator[tuple[str, Figure]]:
    pooled = [one.pooled for one in found.shares if one.pooled]
    if pooled:
        # Shares of next to nothing reach thousands of per cent, and would flatten all others.
        yield "shares.png", shares_figure([one for one in pooled if one.parts.total >= LITTLE] or pooled)
    for one in found.shares:
        if one.by_place and (one.by_place.dominant.labels >= 0).any():
            places = one.by_place.places
            yield (
                f"dominance_{one.stream}.png",
                dominance_figure(places.latitude, places.longitude, one.by_place.dominant, one.stream),
            )
    if isinstance(found.axes, Axes):
        yield "pca.png", loadings_figure(found.axes)
    for importance in found.explained.importance:
        end = f"_{importance.plant_type}" if importance.plant_type else ""
        yield f"importance_{importance.quantity}{end}.png", network_importance_figure(importance)
    if "" in found.explained.values:
        values = found.explained.values[""]
        for quantity in values.quantities:
            yield f"swarm_{quantity.name}.png", swarm_figure(values, quantity.name)
    if isinstance(found.traits, TraitEnvironment) and found.traits.curves:
        yield "curves.png", curves_figure(found.traits)
    if isinstance(found.response, ClimateResponse):
        yield "projection.png", climate_response_figure(found.response)


def _fill_partition(file: netCDF4.Dataset, found: NetworkAttribution) -> None:
    """Put in what each group explains of each place, and which of them most."""
    file.setncatts(
        {"Conventions": CONVENTIONS, "title": "explained variance, shared out", "source": f"phloem {VERSION}"}
    )
    first = next(one.by_place for one in found.shares if one.by_place)
    groups = first.parts.groups
    file.createDimension("group", len(groups))
    put_texts(file, "group", "group", list(groups), {"long_name": "group of predictors"})
    names = {False: found.cells.names, True: list(found.networks.store.names)}
    for one in found.shares:
        if one.by_place is None:
            continue
        stream, part = one.stream, one.by_place
        dimension = f"place_{stream}"
        file.createDimension(dimension, len(part.places.ids))
        texts = [names[part.places.of_patches][n] for n in part.places.ids.tolist()]
        put_texts(file, f"name_{stream}", dimension, texts, {"long_name": "cell or patch"})
        for name, values, units in (
            ("lat", part.places.latitude, "degrees_north"),
            ("lon", part.places.longitude, "degrees_east"),
        ):
            file.createVariable(f"{name}_{stream}", "f8", (dimension,))[:] = values
            file[f"{name}_{stream}"].units = units
        for name, dimensions, values, words in (
            ("independent", ("group", dimension), part.parts.independent, "what the group explains by itself"),
            ("total", (dimension,), part.parts.total, "explained by all groups together"),
        ):
            variable = file.createVariable(f"{name}_{stream}", "f4", dimensions, fill_value=FILL, zlib=True)
            variable.setncatts({"units": "1", "long_name": f"{words}, {stream}"})
            variable[:] = filled(np.asarray(values, np.float32))
        label = file.createVariable(f"dominant_{stream}", "i1", (dimension,))
        flags = {
            "flag_values": np.arange(-1, len(groups), dtype=np.int8),
            "flag_meanings": " ".join(["masked", *groups]),
        }
        label.setncatts({"long_name": "group that explains most; -1: masked", **flags})
        label[:] = part.dominant.labels.astype(np.int8)
