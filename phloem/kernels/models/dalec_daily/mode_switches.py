"""Switches between the published code and the corrected equations: one for each place where they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

_CHOICES = {
    "foliar_floor": ("conserve", "unit_litter"),
    "paw_floor": ("conserve", "misbracketed"),
    "paw_ceiling": ("conserve", "misbracketed"),
    "puw_ceiling": ("conserve", "ignored"),
    "rate_form": ("exact", "power"),
    "edc_sigmoid": ("softplus", "overflowing"),
    "edc3_rate": ("integrated", "shape"),
    "edc4_temperature": ("none", "cardamom"),
    "pole_guard": ("clip", "none"),
    "state_dtype": ("compensated", "plain"),
    "carbon_ceilings": ("penalised", "free"),
}


def check_choices(chosen: Any, choices: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse a switch, a field of a dataclass, that stands where it cannot.

    Raises:
        ValueError: which, and its valid choices.
    """
    for field in fields(chosen):
        value = getattr(chosen, field.name)
        if value not in choices[field.name]:
            raise ValueError(f"switch {field.name} = {value!r}: valid are {', '.join(choices[field.name])}")


@dataclass(frozen=True)
class Switches:
    """One switch a difference; the defaults are `strict` (docs/science.md#strict-and-compat).

    Attributes:
        foliar_floor: at the foliar floor, litterfall closes the balance, or is 1 gC m-2 d-1.
        paw_floor: at the PAW floor, drainage and ET close the balance, or the published slip of a bracket.
        paw_ceiling: the same at the PAW ceiling.
        puw_ceiling: at the PUW ceiling, drainage closes the balance, or is left alone.
        rate_form: losses are C k with litter losses capped at the pool, or C (1 - (1 - k)).
        edc_sigmoid: penalties as softplus, or as -log(1 / (1 + exp)) which overflows.
        edc3_rate: foliar turnover from the integrated leaf fall, or 1 / (365.25 L).
        edc4_temperature: no temperature factor, or CARDAMOM's exp(q T).
        pole_guard: latitude kept within 89.99 degrees, or not.
        state_dtype: wood and SOM carry the rounding error of their updates, or not.
        carbon_ceilings: what a carbon pool cannot hold costs something in the loss, or not.
    """

    foliar_floor: str = "conserve"
    paw_floor: str = "conserve"
    paw_ceiling: str = "conserve"
    puw_ceiling: str = "conserve"
    rate_form: str = "exact"
    edc_sigmoid: str = "softplus"
    edc3_rate: str = "integrated"
    edc4_temperature: str = "none"
    pole_guard: str = "clip"
    state_dtype: str = "compensated"
    carbon_ceilings: str = "penalised"

    def __post_init__(self) -> None:
        check_choices(self, _CHOICES)


STRICT = Switches()
COMPAT = Switches(**{name: choices[1] for name, choices in _CHOICES.items() if name != "edc4_temperature"})
"""The published code; its EDC4 factor is exp(q 0) = 1, so that `edc4_temperature` stays `none`."""

MODES = {"strict": STRICT, "compat": COMPAT}


def switches(mode: str) -> Switches:
    """Return the switches of a mode.

    Raises:
        ValueError: for an unknown mode; the message names the valid ones.
    """
    if mode not in MODES:
        raise ValueError(f"mode {mode!r}: valid are {', '.join(MODES)}")
    return MODES[mode]
