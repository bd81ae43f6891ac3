"""Golden files of the monthly global model and its network, as this program takes them (oracle/README_global.md)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jax.numpy as jnp
import netCDF4
import numpy as np

from phloem.kernels.models.dalec_monthly.forcing_terms import weather
from phloem.kernels.models.dalec_monthly.mode_switches import MODES
from phloem.kernels.models.dalec_monthly.records import OUTPUTS, MonthlyWeather
from phloem.kernels.network.parameter_network import Layer, Weights
from phloem.kernels.network.patch_labels import LabelStream, PatchLabels
from phloem.kernels.network.patch_model import patch_tables
from phloem.kernels.network.training_loss import Patch

ROWS, VALID = 320, 200
LABELS = {"water_storage": "water_storage_anomaly", "fire": "fire_emission"}
"""Names of streams in the file, where they are others than here."""

SEEDS = {"published_2026": "", "seed_1234": "_untrained_1234", "seed_5678": "_untrained_5678"}
"""Networks of which the patch is known, and how its values of them end."""


def arrays(path: Path, *names: str) -> dict[str, np.ndarray]:
    """Return variables of a file, float64 where they are numbers; all of them where none is named."""
    with netCDF4.Dataset(path) as file:
        found = {}
        for name in names or file.variables:
            values = np.ma.filled(np.ma.asarray(file[name][...]), np.nan)
            found[name] = values.astype(float) if values.dtype.kind in "fiu" else values
        return found


def month_lengths(months: int) -> np.ndarray:
    """Return the lengths of months from January 2001 on."""
    starts = (np.datetime64("2001-01") + np.arange(months + 1)).astype("datetime64[D]")
    return np.diff(starts).astype(float)


def golden_cells(folder: Path, mode: str) -> tuple[list[MonthlyWeather], dict[str, np.ndarray]]:
    """Return the months of two cells, and what is known of five members of each."""
    gold = arrays(folder / "global_cells.nc")
    cells = []
    for columns in gold["forcing"].transpose(0, 2, 1):
        days, cold, warm, light, co2, doy, burned, vpd, rain, latitude, _, temperature, rainfall = columns
        forcing = {"tasmin": cold, "tasmax": warm, "rsds": light, "co2": co2, "vpd": vpd, "pr": rain}
        reference = (float(temperature[0]), float(rainfall[0]))
        cells.append(
            weather(
                days, doy, float(latitude[0]), {**forcing, "burned_area": burned}, reference,
                month_lengths(len(days)), MODES[mode],
            )
        )  # fmt: skip
    assert gold["outputs"].shape[-1] == len(OUTPUTS)
    return cells, gold


def golden_network(folder: Path, name: str) -> Weights:
    """Return the weights of one of the golden networks, in float64."""
    gold = arrays(folder / "global_network.nc")
    place = [str(one) for one in gold["weights"]].index(name)

    def layer(of: str) -> Layer:
        return Layer(jnp.asarray(gold[f"w_{of}"][place]), jnp.asarray(gold[f"b_{of}"][place]))

    embedding = tuple(layer(f"embedding_{number}") for number in (1, 2, 3))
    return Weights(embedding, layer("parameters"), layer("pools"), layer("phenology"))


@dataclass(frozen=True, eq=False)
class GoldenPatch:
    """A patch as the public loader pads it, in pieces that can be changed.

    Attributes:
        weather: each (months, rows).
        labels: of the patch.
        predictors: standardised, (rows, columns).
    """

    weather: MonthlyWeather
    labels: PatchLabels
    predictors: np.ndarray

    def patch(self, dtype: type = np.float64) -> Patch:
        """Return the patch as it is trained on."""
        labels = type(self.labels)(*(_cast(one, dtype) for one in self.labels))
        return Patch(jnp.asarray(self.predictors, dtype), patch_tables(self.weather, self.labels, dtype), labels)

    def rows(self, kept: np.ndarray) -> GoldenPatch:
        """Return some of the rows, in an order."""
        streams = {
            name: LabelStream(one.label[:, kept], one.weight[:, kept]) if isinstance(one, LabelStream) else one
            for name, one in self.labels._asdict().items()
        }
        labels = PatchLabels(**{**streams, "valid": self.labels.valid[kept]})
        return GoldenPatch(MonthlyWeather(*(one[:, kept] for one in self.weather)), labels, self.predictors[kept])


def _cast(one: LabelStream | np.ndarray, dtype: type) -> LabelStream | jnp.ndarray:
    if isinstance(one, LabelStream):
        return LabelStream(jnp.asarray(one.label, dtype), jnp.asarray(one.weight, dtype))
    return jnp.asarray(one, dtype)


@cache
def golden_patch(folder: Path, mode: str) -> GoldenPatch:
    """Return the golden patch, with the terms of the forcing of a mode."""
    gold = arrays(folder / "global_patch.nc")

    def padded(name: str) -> np.ndarray:
        return np.concatenate([gold[name], np.repeat(gold[name][:1], ROWS - VALID, 0)])

    def blank(name: str) -> np.ndarray:
        return np.concatenate([gold[name], np.zeros((ROWS - VALID, *gold[name].shape[1:]))])

    months = len(gold["days"])
    names = {"tasmin": "t_min", "tasmax": "t_max", "rsds": "shortwave", "vpd": "vpd", "pr": "precipitation"}
    forcing = {name: padded(own) for name, own in names.items()} | {"burned_area": padded("burned_fraction")}
    latitude, temperature, rainfall = (padded(name) for name in ("latitude", "mean_temperature", "mean_precipitation"))
    cells = [
        weather(
            gold["days"], gold["doy"], float(latitude[row]),
            {**{name: values[row] for name, values in forcing.items()}, "co2": gold["co2"]},
            (float(temperature[row]), float(rainfall[row])), month_lengths(months), MODES[mode],
        )
        for row in range(ROWS)
    ]  # fmt: skip
    streams = {}
    for name in PatchLabels._fields:
        if name not in ("valid", "december"):
            own = LABELS.get(name, name)
            streams[name] = LabelStream(blank(f"label_{own}").T, blank(f"mask_{own}").T)
    labels = PatchLabels(
        **streams,
        valid=(np.arange(ROWS) < VALID).astype(float),
        december=(np.arange(months) % 12 == 11).astype(float),
    )
    stacked = MonthlyWeather(
        *(np.stack([getattr(cell, field) for cell in cells], 1) for field in MonthlyWeather._fields)
    )
    return GoldenPatch(stacked, labels, blank("predictors"))
