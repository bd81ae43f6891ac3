"""Outputs that networks' predictions have: those of the monthly model by the model's names, and what some add up to."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import numpy as np

from phloem.errors import InputError
from phloem.kernels.models.dalec_monthly.file_names import OUTPUT_QUANTITIES
from phloem.model_tables import Quantity

SUMS: dict[str, tuple[Quantity, tuple[str, ...]]] = {
    "reco": (Quantity("reco", "g m-2 d-1", "ecosystem respiration, carbon"), ("gpp", "nee")),
    "biomass": (
        Quantity("biomass", "g m-2", "live biomass, carbon, at the end of the month"),
        ("labile", "foliar", "root", "wood"),
    ),
}
"""Outputs that are sums of the model's, and of which. RECO is GPP + NEE: NEE counts to the atmosphere, without fire."""

QUANTITIES: dict[str, Quantity] = {**OUTPUT_QUANTITIES, **{name: one for name, (one, _) in SUMS.items()}}
"""Unit and meaning of every output."""

DEFAULT_OUTPUTS = (
    *("lai", "gpp", "ra", "reco", "et", "runoff", "nee", "nbe", "fire_emission", "sif", "biomass"),
    *("labile", "foliar", "root", "wood", "litter", "som", "water"),
)
"""Outputs of a product where none are named."""

STATES = ("lai", "biomass", "labile", "foliar", "root", "wood", "litter", "som", "water", "vod", "violation")
"""Outputs that are no means over the month."""


def chosen_outputs(text: str) -> tuple[str, ...]:
    """Return the outputs of a text with commas between them, each once; `DEFAULT_OUTPUTS` of an empty one.

    Names are those of the model, or those of the public code.

    Raises:
        InputError: an output that there is not; the valid ones are named.
    """
    if not text.strip():
        return DEFAULT_OUTPUTS
    public = {one.name: name for name, one in OUTPUT_QUANTITIES.items()}
    chosen = []
    for name in (part.strip() for part in text.split(",")):
        known = name if name in QUANTITIES else public.get(name)
        if known is None:
            near = difflib.get_close_matches(name, [*QUANTITIES, *public], 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InputError(f"--outputs: no output {name!r}.{hint} Valid are {', '.join(QUANTITIES)}")
        chosen.append(known)
    return tuple(dict.fromkeys(chosen))


def model_outputs(names: Sequence[str]) -> tuple[str, ...]:
    """Return the outputs of the model that some outputs are made of, in the order of the model."""
    needed = {part for name in names for part in (SUMS[name][1] if name in SUMS else (name,))}
    return tuple(name for name in OUTPUT_QUANTITIES if name in needed)


def with_sums(found: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return outputs by name, sums made of the model's own."""
    return {name: sum(found[part] for part in SUMS[name][1]) if name in SUMS else found[name] for name in names}  # type: ignore[misc]
