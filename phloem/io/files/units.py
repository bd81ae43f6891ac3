"""Units as files write them, and the factors between them.

A unit is a product of powers: `kg m-2 s-1`, `MgC ha-1`, `mm/d`, `g C m**-2 year-1`. The C behind a mass says of what it
is and changes nothing; powers may be written as LaTeX has them, `m$^{-2}$`. A year has 365.25 days and a month is its
twelfth. Two bridges are taken where dimensions ask for them: a mole of CO2 holds 12.011 g of carbon, and 1 mm of water
weighs 1 kg m-2.
"""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np

from phloem.errors import InputError
from phloem.names import PERIOD

_TEN = Fraction(10)
_DAY = Fraction(86400)
_YEAR = _DAY * Fraction(PERIOD)
_SCALES = {"": 0, "u": -6, "m": -3, "c": -2, "h": 2, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15}
"""Powers of ten of the prefixes."""

Powers = tuple[int, int, int, int, int]
"""Exponents of kilogram, metre, second, mole and kelvin."""

_NONE: Powers = (0, 0, 0, 0, 0)
_BASE: dict[str, tuple[Fraction, Powers, str]] = {
    "g": (_TEN**-3, (1, 0, 0, 0, 0), "umkMGTP"),
    "t": (_TEN**3, (1, 0, 0, 0, 0), "kMGP"),
    "m": (_TEN**0, (0, 1, 0, 0, 0), "umck"),
    "ha": (_TEN**4, (0, 2, 0, 0, 0), ""),
    "s": (_TEN**0, (0, 0, 1, 0, 0), ""),
    "min": (Fraction(60), (0, 0, 1, 0, 0), ""),
    "h": (Fraction(3600), (0, 0, 1, 0, 0), ""),
    "d": (_DAY, (0, 0, 1, 0, 0), ""),
    "month": (_YEAR / 12, (0, 0, 1, 0, 0), ""),
    "yr": (_YEAR, (0, 0, 1, 0, 0), ""),
    "mol": (_TEN**0, (0, 0, 0, 1, 0), "um"),
    "K": (_TEN**0, (0, 0, 0, 0, 1), ""),
    "Pa": (_TEN**0, (1, -1, -2, 0, 0), "hkM"),
    "bar": (_TEN**5, (1, -1, -2, 0, 0), "m"),
    "J": (_TEN**0, (1, 2, -2, 0, 0), "kMG"),
    "W": (_TEN**0, (1, 2, -3, 0, 0), "mk"),
    "%": (_TEN**-2, _NONE, ""),
    "ppm": (_TEN**-6, _NONE, ""),
}
"""Of each unit: its size in SI, its powers, and the prefixes that it takes."""

_OTHER = {
    "day": "d", "days": "d", "hr": "h", "hour": "h", "hours": "h", "sec": "s", "second": "s", "seconds": "s",
    "year": "yr", "years": "yr", "a": "yr", "yrs": "yr", "mon": "month", "months": "month", "percent": "%",
    "tonne": "t", "tonnes": "t", "tons": "t", "meter": "m", "metre": "m", "meters": "m", "metres": "m", "kelvin": "K",
    "degK": "K", "gram": "g", "grams": "g", "mb": "mbar", "millibar": "mbar", "ppmv": "ppm", "hectare": "ha",
}  # fmt: skip
_PLAIN = ("", "-", "1", "dimensionless", "unitless", "fraction", "ratio", "none")
_CELSIUS = ("degC", "celsius", "Celsius", "degreesC", "degree_Celsius", "degrees_celsius", "C", "°C")
_WATER: Powers = (1, -3, 0, 0, 0)
_CARBON: Powers = (1, 0, 0, -1, 0)
_BRIDGES = ((_WATER, _TEN**3), (_CARBON, Fraction("12.011e-3")))
"""What is multiplied by to come from one dimension to another: density of water, kg m-3; carbon of CO2, kg mol-1."""


_LATEX = re.compile(r"\$?\^\{\s*([+-]?\d+)\s*\}\$?|\$\^([+-]?\d+)\$")
_NAMED = re.compile(r"^[^\[\]]*\[\s*([^\[\]]+?)\s*\]$")
_EACH = r"(?:/\s*|\bper\s+)?(?<![A-Za-z])(?:{})(?![A-Za-z])\s*(?:\*\*|\^)?(?:-1)?"
_STEP = re.compile(_EACH.format("time[ _]?steps?"), re.IGNORECASE)
_MONTHS = re.compile(_EACH.format("mon|mons|month|months"), re.IGNORECASE)


def bare_unit(text: str) -> str:
    """Return a unit without the name that stands before it in brackets, as in `CO2 [ppm]`."""
    named = _NAMED.match(text.strip())
    return named[1] if named else text.strip()


def of_steps(unit: str, step: str) -> str:
    """Return a unit with its time step spelt out: `mm timestep-1` of days is `mm d-1`.

    Args:
        unit: as given.
        step: one over the step, such as `d-1`.
    """
    return " ".join(_STEP.sub(f" {step}", unit).split())


def of_month(unit: str) -> str | None:
    """Return the unit of a month's mean a day from that of its sum: `mm month-1` gives `mm d-1`; None if it is none."""
    found, count = _MONTHS.subn(" d-1", unit)
    return " ".join(found.split()) if count == 1 else None


def _symbol(word: str) -> tuple[Fraction, Powers] | None:
    """Size and powers of one symbol, with its prefix."""
    stripped = re.sub(r"(CO2|C|H2O)$", "", word)
    if word.endswith("CO2") and stripped.endswith("g"):
        return None  # a mass of CO2 is not one of carbon
    for name in (word, stripped):
        name = _OTHER.get(name, name)
        if name in _BASE:
            return _BASE[name][:2]
        for prefix, scale in _SCALES.items():
            stem = name[len(prefix) :]
            if prefix and name.startswith(prefix) and stem in _BASE and prefix in _BASE[stem][2]:
                return _TEN**scale * _BASE[stem][0], _BASE[stem][1]
    return None


def _parse(unit: str) -> tuple[Fraction, Powers] | None:
    """Size in SI, exact, and powers of a unit, None where it is not understood."""
    text = (
        _LATEX.sub(r"\1\2", bare_unit(unit))
        .replace("µ", "u")
        .replace("μ", "u")
        .replace("**", "")
        .replace("^", "")
        .replace("−", "-")
    )
    if text in _PLAIN:
        return _TEN**0, _NONE
    text = re.sub(r"/\s*\(([^)]*)\)", lambda group: " ".join("/" + word for word in group[1].split()), text)
    text = re.sub(r"(?<=[A-Za-z0-9)])[*·._](?=[A-Za-z])", " ", text)
    size, powers, last = _TEN**0, list(_NONE), ""
    for slash, word in re.findall(r"(/?)\s*([^\s/]+)", text):
        sign = -1 if slash else 1
        if re.fullmatch(r"\d+(\.\d+)?([eE][+-]?\d+)?", word):
            size *= Fraction(word) ** sign
            continue
        if last and (word in ("C", "H2O") or (word == "CO2" and last.endswith("mol"))):
            continue  # "g C m-2": says of what
        match = re.fullmatch(r"([A-Za-z%][A-Za-z_]*?(?:CO2|H2O)?)([+-]?\d+)?", word)
        if match is None:
            return None
        last = match[1]
        symbol = _symbol(match[1])
        if symbol is None:
            return None
        exponent = sign * int(match[2] or 1)
        size *= symbol[0] ** exponent
        powers = [have + exponent * power for have, power in zip(powers, symbol[1], strict=True)]
    return size, (powers[0], powers[1], powers[2], powers[3], powers[4])


def conversion(unit: str, wanted: str) -> tuple[float, float] | None:
    """Return factor and offset that lead from one unit to another, None where they do not go together or are not known.

    Args:
        unit: unit that the values have.
        wanted: unit that they are to have.
    """
    if unit.strip() == wanted.strip():
        return 1.0, 0.0
    celsius = [bare_unit(text) in _CELSIUS for text in (unit, wanted)]
    have, wish = (_parse("K" if is_celsius else text) for text, is_celsius in zip((unit, wanted), celsius, strict=True))
    if have is None or wish is None:
        return None
    (size, powers), (due, wished) = have, wish
    offset = 273.15 * (celsius[0] - celsius[1])
    if powers == wished:
        return float(size / due), offset
    for bridge, number in _BRIDGES:
        for way in (1, -1):
            if all(a + way * b == c for a, b, c in zip(powers, bridge, wished, strict=True)):
                return float(size * number**way / due), 0.0
    return None


def is_same_unit(given: str, wanted: str) -> bool:
    """Tell whether values of a unit are those of another as they are."""
    return conversion(given, wanted) == (1.0, 0.0)


def convert(values: np.ndarray, unit: str, wanted: str, where: str) -> np.ndarray:
    """Return values in another unit; as they are where the unit is the same.

    Args:
        values: any shape.
        unit: unit that they have.
        wanted: unit that they are to have.
        where: file and variable, for the message.

    Raises:
        InputError: a unit that is not known, or of another kind; it names those that are.
    """
    factors = conversion(unit, wanted)
    if factors is None:
        known = ", ".join([*_BASE, "degC"])
        why = "is not understood" if _parse(unit) is None and unit.strip() not in _CELSIUS else "is of another kind"
        raise InputError(
            f"{where}: unit {unit!r} {why}; due is {wanted!r} or what converts to it, products of powers of {known} "
            '(as "kg m-2 s-1"); say what the values are with units = "..."'
        )
    factor, offset = factors
    if (factor, offset) == (1.0, 0.0):
        return values
    return values * factor + offset
