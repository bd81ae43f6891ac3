"""The daily DALEC with the observation operators of the grid experiments (calibration.md section 3).

The same day as that of the towers, and two things more: a running sum of ecosystem respiration, which begins anew with
each window of the product so that a mean can be compared on the window's last day; and the live biomass of a day's end.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from phloem.kernels.dalec import dalec
from phloem.kernels.features import Weather
from phloem.kernels.model import Model
from phloem.kernels.records import Observed, Outputs, State, Sums
from phloem.kernels.switches import Switches
from phloem.names import ALL_STREAMS

LIVE = ("labile", "foliar", "root", "wood")
"""Pools of the live biomass."""


def _extended(name: str, fields: tuple[str, ...], text: str) -> Any:
    """Return a NamedTuple class of some fields."""
    made = NamedTuple(name, [(field, Any) for field in fields])  # type: ignore[misc]
    made.__doc__ = text
    return made


GridWeather = _extended(
    "GridWeather",
    (*Weather._fields, "reco_keep"),
    "One day's forcing; `reco_keep` is 0 on the first day of a window of RECO, else 1.",
)
GridState = _extended(
    "GridState",
    (*State._fields, "reco_sum"),
    "The state, and RECO since the beginning of its window, gC m-2.",
)
GridOutputs = _extended(
    "GridOutputs",
    (*Outputs._fields, "reco_sum", "biomass"),
    "The outputs, RECO since the beginning of its window and live biomass at the day's end, gC m-2.",
)
GridObserved = _extended(
    "GridObserved",
    (*(name for name in Observed._fields if name != "year_end"), "biomass", "biomass_weight", "reco_share", "year_end"),
    "One day's observations and weights; `reco_share` is 1 over the window's days on its last day, else 0.",
)
GridSums = _extended("GridSums", ("biomass_error", *Sums._fields), "The sums of the site objective, and of biomass.")


def grid_state(state: State) -> Any:
    """Return the first state of a run from that of the plain model."""
    return GridState(*state, state.wood_rest * 0)


@cache
def grid_dalec(mode: str | Switches = "strict") -> Model:
    """Return the model text of a mode (`strict`, `compat`) with the grid experiments' operators."""
    plain = dalec(mode)

    def step(s: Any, c: Any, w: Any) -> tuple[Any, Any]:
        new, outputs = plain.step(State(*s[:-1]), c, Weather(*w[:-1]))
        reco_sum = s.reco_sum * w.reco_keep + outputs.reco
        biomass = outputs.labile + outputs.foliar + outputs.root + outputs.wood
        return GridState(*new, reco_sum), GridOutputs(*outputs, reco_sum, biomass)

    def score(o: Any, y: Any) -> Any:
        seen = {name: getattr(o, name) for name in ALL_STREAMS}
        seen["reco"] = o.reco_sum * y.reco_share
        errors = {
            f"{name}_error": getattr(y, f"{name}_weight") * (seen[name] - getattr(y, name)) ** 2 for name in ALL_STREAMS
        }
        ends = {f"{name}_year_ends": getattr(o, name) * y.year_end for name in (*LIVE, "litter", "som")}
        totals = {name: getattr(o, name) for name in Sums._fields if name not in errors and name not in ends}
        return GridSums(**errors, **ends, **totals)

    return Model(
        name=f"grid-{plain.name}",
        parameters=plain.parameters,
        pools=plain.pools,
        inputs=plain.inputs,
        state=GridState,
        weather=GridWeather,
        outputs=GridOutputs,
        observed=GridObserved,
        sums=GridSums,
        prepare=plain.prepare,
        step=step,
        score=score,
        rare=("biomass", "biomass_weight", "year_end"),
    )
