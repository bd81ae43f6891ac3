"""Variables of an upscaling's tiles: predictions of what was left out, and models of everything."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from phloem.io.campaign.tile_schema import TileSchema, TileVariable

_LANE = ("cell", "member")


@cache
def fits_schema(ways: Sequence[str], fluxes: int) -> TileSchema:
    """Return the schema of fits.

    Args:
        ways: what is learned, with the baseline.
        fluxes: of a unit: one, or all of a network.
    """

    def lane(units: str, long_name: str, *more: str, kind: str = "f8", finite: bool = False) -> TileVariable:
        return TileVariable((*_LANE, *more), (kind,), units, long_name, finite)

    variables = {
        "cell": TileVariable(("cell",), ("str",), "", "scheme, what is left out, flux"),
        "status": lane("", "what became of the fit", kind="i1"),
        "redraws": lane("1", "times the fit was begun anew", kind="i1"),
        "steps": lane("1", "steps of the fit", kind="i8"),
        "unseen_error": lane("1", "mean square error at rows not seen, over their variance", finite=True),
        "blend": lane("1", "weight of the residual in the blend", "flux"),
        "predicted": lane("", "predictions of the rows left out, in their order", "flux", "way", "row", kind="f4"),
        "model": lane("", "the model as bytes, where nothing was left out", "byte", kind="u1"),
        "model_bytes": lane("1", "bytes of the model", kind="i8"),
    }
    return TileSchema(variables, {"way": len(ways), "flux": fluxes})
