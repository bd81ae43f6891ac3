"""Numbers, units, durations and streams in words for readers of a page."""

from __future__ import annotations

import re

import numpy as np

LONGEST_ABBREVIATION = 4
"""Letters of a stream's name that is an abbreviation: gpp, reco, et, lai."""


def duration(seconds: float | None) -> str:
    """Write a time for people."""
    if seconds is None or not np.isfinite(seconds):
        return "not recorded"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


_BLANK = "–"


_SUPERSCRIPTS = str.maketrans("0123456789-.", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻·")
_POWER = re.compile(r"(?<=[A-Za-z)])-?\d+\.\d+|(?<=[A-Za-z)])-\d+|(?<=[a-z])\d+(?![\w.])")


def number(value: float, digits: int = 4) -> str:
    """Write a number with so many significant digits, a dash where it is not finite."""
    if not np.isfinite(value):
        return _BLANK
    text = f"{value:.{digits}g}"
    if 10.0 ** (digits - 1) <= abs(value) < 1e5:
        text = f"{value:,.0f}"
    elif value != 0 and not 1e-3 <= abs(value) < 1e5:
        mantissa, power = f"{value:.{digits - 1}e}".split("e")
        text = f"{mantissa.rstrip('0').rstrip('.')}×10{str(int(power)).translate(_SUPERSCRIPTS)}"
    return text.replace("-", "−")


def fixed(value: float, decimals: int = 3) -> str:
    """Write a number with so many decimals, a dash where it is not finite."""
    if not np.isfinite(value):
        return _BLANK
    text = f"{value:,.{decimals}f}"
    return (text.lstrip("-") if not float(text.replace(",", "")) else text).replace("-", "−")


def typeset(unit: str) -> str:
    """Write the powers of a unit as superscripts: "gC m-2 d-1" as "gC m⁻² d⁻¹"; degC as °C."""
    unit = unit.replace("degC", "°C")
    return _POWER.sub(lambda power: power.group().translate(_SUPERSCRIPTS), unit)


def stream_title(stream: str) -> str:
    """Write the name of a stream: abbreviations in capitals."""
    return stream.upper() if len(stream) <= LONGEST_ABBREVIATION else stream
