"""What a patch is compared with: labels by stream, their weights, and which rows are cells."""

from __future__ import annotations

from typing import Any, NamedTuple

from jax import Array
from jaxtyping import Float


class LabelStream(NamedTuple):
    """One stream of labels.

    Attributes:
        label: (months, rows); anything where the weight is 0.
        weight: (months, rows), 0 where there is no label; at towers it may be how much of the cell they stand for.
    """

    label: Float[Array, "months rows"]
    weight: Float[Array, "months rows"]


class PatchLabels(NamedTuple):
    """The twelve streams of a patch, and its cells.

    Attributes:
        sif: fluorescence.
        nbe: net flux of the whole patch to the atmosphere, one value for all rows, gC m-2 d-1.
        lai: leaf area index.
        water_storage: anomaly of the whole patch's water storage, mm.
        biomass: live biomass, gC m-2.
        fire: emission, gC m-2 d-1.
        soil_carbon: gC m-2, the same in all months.
        vod: vegetation optical depth.
        tower_gpp, tower_reco, tower_et: gC m-2 d-1, mm d-1.
        et: evapotranspiration, mm d-1.
        valid: 1 where a row is a cell, 0 where it fills the patch, (rows,).
        december: 1 in the last month of each year, (months,).
    """

    sif: LabelStream
    nbe: LabelStream
    lai: LabelStream
    water_storage: LabelStream
    biomass: LabelStream
    fire: LabelStream
    soil_carbon: LabelStream
    vod: LabelStream
    tower_gpp: LabelStream
    tower_reco: LabelStream
    tower_et: LabelStream
    et: LabelStream
    valid: Float[Array, " rows"]
    december: Any


STREAMS = tuple(name for name in PatchLabels._fields if name not in ("valid", "december"))
