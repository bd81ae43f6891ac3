"""Data of the page's script: one JSON object of facts, and layers of packed numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Colormap, LinearSegmentedColormap

from phloem.analysis.experiments.forward_product import ForwardRuns
from phloem.analysis.report_data.cell_sets import CellSet, ShownQuantity, Spread
from phloem.analysis.report_data.packed_layers import Packed, compress, limit_code, pack, pack_between, pack_rcv
from phloem.analysis.style.coastline import LAND
from phloem.analysis.style.plot_style import COLOURS
from phloem.analysis.style.wording import stream_title
from phloem.io.merge.member_statistics import SCREENING_RCV
from phloem.io.references.growth_curves import DRY_MATTER
from phloem.names import CELL_STATUS, STATUS

FINE_VALUES = 2_000_000
"""Members, their rCV and range, and trajectories are packed with 16 bits up to so many values a page, beyond with 8."""

COLOUR_MAPS: dict[str, Colormap] = {
    "value": colormaps["viridis"],
    "spread": colormaps["cividis"],
    "difference": colormaps["RdBu_r"],
    "score": LinearSegmentedColormap.from_list("score", ["#D55E00", "#FFFFFF", "#0072B2"]),
}
"""Perceptually even where a value has no middle; told apart by colour-blind eyes where it has one. The scores' are
those of the tables: white is as good as the mean of the observations."""

STATUS_COLOURS = ("#009E73", "#56B4E9", "#E69F00", "#D55E00", "#CC79A7", "#666666")
"""Okabe and Ito's, in the order of `names.CELL_STATUS`."""


class PageData:
    """Facts and layers of a page about some cells."""

    def __init__(self, sets: Sequence[CellSet], shown: Sequence[ShownQuantity], anchors: Sequence[str] = ()) -> None:
        """Begin with the cells themselves.

        Args:
            sets: campaigns over the same cells.
            shown: quantities that maps offer.
            anchors: of the sections about single cells, one a cell, or none.
        """
        first = sets[0]
        self.layers: list[str] = []
        self.bits = 16 if len(sets) * len(shown) * first.status.size <= FINE_VALUES else 8
        lattice = first.lattice
        self.facts: dict[str, Any] = {
            "cells": len(first.names),
            "members": first.members,
            "limit": SCREENING_RCV,
            "limitCode": limit_code(self.bits),
            "grid": None,
            "names": self.add(compress("\n".join(first.names).encode())),
            "latitude": self.add(_floats(first.latitude)),
            "longitude": self.add(_floats(first.longitude)),
            "land": self.add(compress(LAND.read_bytes())),
            "anchors": list(anchors),
            "colours": {kind: _table(kind) for kind in COLOUR_MAPS},
            "status": [
                {"name": name.replace("_", " "), "colour": STATUS_COLOURS[code]} for name, code in CELL_STATUS.items()
            ],
            "lanes": [name.replace("_", " ") for name in STATUS],
            "quantities": [_describe(quantity) for quantity in shown],
            "sets": [{"title": one.title, "values": [], "cell": []} for one in sets],
            "runs": None,
            "table": [],
        }
        if lattice is not None:
            self.facts["grid"] = {
                "latitude": lattice.latitude,
                "longitude": lattice.longitude,
                "step": lattice.step,
                "rows": lattice.rows,
                "columns": lattice.columns,
            }
            # Longitudes as the product has them: a grid across the date line goes on beyond 180.
            self.facts["longitude"] = self.add(_floats(lattice.longitude + lattice.column * lattice.step[1]))

    def add(self, payload: str) -> int:
        """Keep a layer and return its number."""
        self.layers.append(payload)
        return len(self.layers) - 1

    def add_packed(self, packed: Packed) -> dict[str, Any]:
        """Keep a packed layer; return its number with what unpacking needs."""
        return {"layer": self.add(packed.payload()), **packed.facts()}

    def add_spread(self, number: int, spread: Spread) -> None:
        """Add the next quantity of a set: median, rCV, range and members."""
        members = pack(spread.members, self.bits)
        self.facts["sets"][number]["values"].append(
            {
                "median": self.add_packed(pack(spread.median)),
                "rcv": self.add_packed(pack_rcv(spread.rcv, self.bits)),
                "range": self.add_packed(pack(spread.high - spread.low, self.bits)),
                "members": self.add_packed(members),
            }
        )

    def add_cells(self, number: int, cells: CellSet) -> None:
        """Add what is known of the cells of a set beside its quantities: status, loss and scores."""
        kept = self.facts["sets"][number]["cell"]

        def add(key: str, title: str, values: np.ndarray, kind: str, unit: str = "") -> None:
            kept.append({"key": key, "title": title, "kind": kind, "unit": unit, **self.add_packed(pack(values))})

        status = pack_between(cells.cell_status, 0, 254, 8)
        kept.append({"key": "status", "title": "status", "kind": "status", "unit": "", **self.add_packed(status)})
        add("calibrated", "members calibrated", cells.good.sum(1).astype(float), "value")
        add("loss", "least end loss of the members", cells.least_loss, "value")
        for window, title in enumerate(("calibration", "validation")):
            for stream in cells.scores:
                middle = cells.middle_score(stream, window)
                if np.isfinite(middle).any():
                    add(f"nnse_{stream}_{window}", f"NNSE of {stream_title(stream)}, {title}", middle, "score")
        self.facts["sets"][number]["lanes"] = self.add_packed(pack_between(cells.status, 0, 254, 8))

    def add_map(self, number: int, key: str, title: str, values: np.ndarray, kind: str, unit: str) -> None:
        """Add one more quantity of the cells of a set, such as a difference from a reference."""
        self.facts["sets"][number]["cell"].append(
            {"key": key, "title": title, "kind": kind, "unit": unit, **self.add_packed(pack(values))}
        )

    def add_runs(self, runs: ForwardRuns, names: Sequence[str], experiments: Sequence[str]) -> None:
        """Add the trajectories of every member of some experiments, and of the growth curves."""
        rows = runs.rows(names)
        ages = runs.ages(len(names), 1 + runs.members * len(experiments))
        bits = 16 if len(names) * len(ages) * runs.members * len(experiments) <= FINE_VALUES else 8
        target = np.where((rows >= 0)[:, None], runs.target[rows][:, ages - 1] / DRY_MATTER, np.nan)
        self.facts["runs"] = {
            "ages": ages.tolist(),
            "unit": "Mg ha⁻¹",
            "target": self.add_packed(pack(target, bits)),
            "sets": [
                {
                    "title": name,
                    "colour": COLOURS.get(name, "#0072B2"),
                    **self.add_packed(pack(runs.trajectories(name, rows, ages), bits)),
                }
                for name in experiments
            ],
        }

    def add_column(self, title: str, number: int, key: str, digits: int = 3) -> None:
        """Show a quantity of the cells (`add_cells`, `add_map`) in the table; one that is not there is left out."""
        places = [place for place, one in enumerate(self.facts["sets"][number]["cell"]) if one["key"] == key]
        if places:
            self.facts["table"].append({"title": title, "set": number, "place": places[0], "digits": digits})

    @property
    def json(self) -> str:
        """The facts as JSON that can stand in a script element; the same facts give the same text."""
        text = json.dumps(_plain(self.facts), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _plain(value: Any) -> Any:
    """Return JSON values: None in the place of what is not finite."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _floats(values: np.ndarray) -> str:
    return compress(np.asarray(values).astype("<f8").tobytes())


def _describe(quantity: ShownQuantity) -> dict[str, Any]:
    return {
        "key": quantity.key,
        "label": quantity.label,
        "unit": quantity.unit,
        "meaning": quantity.meaning,
        "derived": quantity.derived,
        "low": quantity.low,
        "high": quantity.high,
        "circular": quantity.circular,
    }


@cache
def _table(kind: str) -> str:
    """Return 256 colours as hexadecimal digits, 6 each."""
    colours = np.rint(COLOUR_MAPS[kind](np.arange(256))[:, :3] * 255).astype(np.uint8)
    return colours.tobytes().hex()
