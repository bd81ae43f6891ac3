"""Switches between the public code of the monthly model and the corrected equations."""

from __future__ import annotations

from dataclasses import dataclass

from phloem.kernels.models.dalec_daily.mode_switches import check_choices

_CHOICES = {
    "foliar_floor": ("conserve", "unit_litter"),
    "dry_runoff": ("zero", "negative"),
    "fire_floor": ("above", "none"),
    "rate_form": ("capped", "power"),
    "month_length": ("true", "30"),
    "pole_guard": ("clip", "none"),
}


@dataclass(frozen=True)
class MonthlySwitches:
    """One switch a difference; the defaults are `strict`.

    Attributes:
        foliar_floor: at the foliar floor, litterfall closes the balance, or is 1 gC m-2 d-1.
        dry_runoff: where the water cannot be met, runoff is 0, or left negative beside an ET that was cut already.
        fire_floor: fire acts on what lies above a pool's floor, or on all of it: then pools leave the month below it.
        rate_form: no more of a pool decays than there is, or (1 - k)^dt of whatever k.
        month_length: days of the calendar, or 30 for every month.
        pole_guard: latitude kept within 89.99 degrees, or not.
    """

    foliar_floor: str = "conserve"
    dry_runoff: str = "zero"
    fire_floor: str = "above"
    rate_form: str = "capped"
    month_length: str = "true"
    pole_guard: str = "clip"

    def __post_init__(self) -> None:
        check_choices(self, _CHOICES)


STRICT = MonthlySwitches()
COMPAT = MonthlySwitches(**{name: choices[1] for name, choices in _CHOICES.items()})
MODES = {"strict": STRICT, "compat": COMPAT}


def switches(mode: str) -> MonthlySwitches:
    """Return the switches of a mode.

    Raises:
        ValueError: for an unknown mode; the message names the valid ones.
    """
    if mode not in MODES:
        raise ValueError(f"mode {mode!r}: valid are {', '.join(MODES)}")
    return MODES[mode]
