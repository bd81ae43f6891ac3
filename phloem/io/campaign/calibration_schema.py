"""Variables of a calibration's tiles: parameters, losses, scores and cost of each lane."""

from __future__ import annotations

from functools import cache

from phloem.io.campaign.tile_schema import TileSchema, TileVariable
from phloem.model_tables import ModelTables

_LANE = ("cell", "member")


@cache
def calibration_schema(tables: ModelTables) -> TileSchema:
    """Return the schema of a model's tiles.

    NNSE is NaN where a stream has no observations in the window; the loss trace where a lane never came that far.
    """
    unknowns = f"unbounded values of the {len(tables.parameters)} parameters and {len(tables.pools)} initial pools"

    def lane(
        units: str, long_name: str, *more: str, kind: str = "f8", finite: bool = False, unknown: int | None = None
    ) -> TileVariable:
        return TileVariable((*_LANE, *more), (kind,), units, long_name, finite, unknown=unknown)

    def raw(long_name: str) -> TileVariable:
        return TileVariable((*_LANE, "unknown"), ("f8", "f4"), "1", long_name, finite=True, merged=False)

    variables = {
        "cell": TileVariable(("cell",), ("str",), "", "site or cell identifier"),
        "latitude": TileVariable(("cell",), ("f8",), "degrees_north", "latitude"),
        "longitude": TileVariable(("cell",), ("f8",), "degrees_east", "longitude"),
        "raw": raw(f"{unknowns} at the last iterate"),
        "parameters": lane("", "calibrated parameters", "parameter", finite=True),
        "initial_pools": lane("", "calibrated initial pools", "pool", finite=True),
        "loss": lane("1", "loss, sharpness at its end value", finite=True),
        "loss_terms": lane("1", "parts of the loss", "term", finite=True),
        "nnse": lane("1", "normalised Nash-Sutcliffe efficiency, calibration window", "stream"),
        "nnse_validation": lane("1", "normalised Nash-Sutcliffe efficiency, validation window", "stream"),
        "best_loss": lane("1", "least loss after the sharpness reached its end value", finite=True),
        "best_raw": raw(f"{unknowns} at best_loss"),
        "status": lane("", "what became of the lane", kind="i1"),
        "redraws": lane("1", "times the lane was drawn anew", kind="i1"),
        "iterations": lane("1", "iterations of the optimiser", kind="i4"),
        "gradient_evaluations": lane("1", "evaluations of the gradient", kind="i4"),
        "gradient_equivalents": lane("1", "cost of the calibration, in gradients of the whole record"),
        "stop": lane("", "why the optimiser left the lane", kind="i1"),
        "clamped_days": lane(
            "d",
            "days of the run at whose end the pool stood at its floor or ceiling, where it would have left its range",
            "pool",
            kind="i4",
            unknown=-1,
        ),
        "ceiling_days": lane(
            "d", "days of the run at whose end the pool stood at its ceiling", "pool", kind="i4", unknown=-1
        ),
        "borrowed": lane(
            "",
            "1 where the lane was taken up again and ended beside another member's basin: no independent draw",
            kind="i1",
            unknown=0,
        ),
        "loss_trace": lane("1", "loss during the optimisation", "trace", kind="f4"),
        "trace_iteration": TileVariable(("trace",), ("i4",), "1", "iteration of the loss trace"),
    }
    lengths = {
        "parameter": len(tables.parameters),
        "pool": len(tables.pools),
        "unknown": len(tables.unknowns),
        "term": len(tables.terms),
        "stream": len(tables.streams),
    }
    return TileSchema(variables, lengths)
