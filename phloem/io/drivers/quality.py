"""Quality control of daily drivers: one pure function over arrays for each defect.

A check returns an `Issue` or None. What becomes of an issue depends on the reader's `quality` mode and is
decided in one place, `Audit.judge`. `control` puts the checks in order; nothing here reads files.
"""

import numpy as np

from phloem.io.drivers.findings import Audit, Issue
from phloem.io.drivers.humidity import saturation_pressure
from phloem.io.drivers.tower_cell import calendar_years, count_training_days, dates, day_of_year
from phloem.io.drivers.variables import VARIABLES, DriverVariables, Variable

TURNED = 0.05
"""gC m-2 d-1 below which the mean of GPP or RECO is no noise about nothing."""


def count_days(bad: np.ndarray, time: np.ndarray) -> str:
    """Return how many days a mask marks, and the first of them, in words."""
    days = np.flatnonzero(bad)
    return f"{len(days)} day{'s' if len(days) > 1 else ''}, first {dates(time[days[:1]])[0]}"


def mark_missing(values: np.ndarray) -> np.ndarray:
    """Return a float64 copy with NaN for the fill value -9999, infinities and masked values."""
    filled = np.ma.filled(np.ma.asarray(values).astype(np.float64), np.nan)
    return np.where(np.isfinite(filled) & (filled != -9999.0), filled, np.nan)


def check_time(time: np.ndarray) -> Issue | None:
    """Check that days are whole, increase by one, and make at least two calendar years. `time`: float64 (days,)."""
    time = np.asarray(time, dtype=np.float64)
    if not np.all(np.isfinite(time)):
        return Issue("fatal", f"{np.sum(~np.isfinite(time))} time stamps are missing")
    fraction = time != np.floor(time)
    if fraction.any():
        first = int(np.argmax(fraction))
        return Issue(
            "fatal",
            f"{fraction.sum()} time stamps are not whole days, first {time[first]} at position {first}: "
            "the drivers must be daily, stamped at 00:00",
        )
    step = np.diff(time)
    for wrong, what in ((step == 0, "is repeated"), (step < 0, "is followed by an earlier one")):
        if wrong.any():
            return Issue("fatal", f"the day {dates(time[:-1][wrong][:1])[0]} {what} ({wrong.sum()} such)")
    if (step > 1).any():
        hole = int(np.argmax(step > 1))
        after = dates(time[hole : hole + 1])[0]
        return Issue(
            "fatal",
            f"{int(np.sum(step[step > 1] - 1))} days are missing from the time axis, first after {after}",
        )
    if calendar_years(len(time)) < 2:
        return Issue(
            "fatal",
            f"{len(time)} days make {calendar_years(len(time))} calendar years; at least 2 are needed, "
            "else the training or the validation window is empty",
        )
    return None


def check_doy(time: np.ndarray, doy: np.ndarray) -> Issue | None:
    """Check that the file's day of the year is that of its time axis; both (days,)."""
    wrong = ~(doy == day_of_year(time))
    if not wrong.any():
        return None
    first = int(np.argmax(wrong))
    return Issue(
        "fatal",
        f"disagrees with the time axis on {count_days(wrong, time)}: "
        f"says {doy[first]:g}, the date's is {day_of_year(time)[first]}",
    )


def check_gaps(values: np.ndarray, time: np.ndarray) -> Issue | None:
    """Check that forcing is complete."""
    gap = ~np.isfinite(values)
    return Issue("fatal", f"no value on {count_days(gap, time)}; forcing must be complete") if gap.any() else None


def check_kelvin(variable: Variable, values: np.ndarray) -> Issue | None:
    """Convert a temperature said to be in degC whose every value lies in 150..350: it is in kelvin."""
    seen = values[np.isfinite(values)]
    if variable.unit != "degC" or not len(seen) or seen.min() < 150.0 or seen.max() > 350.0:
        return None
    return Issue(
        "mendable",
        f"looks like kelvin ({seen.min():.1f} to {seen.max():.1f} where degC is due)",
        "273.15 subtracted",
        {variable.name: values - 273.15},
    )


def check_negative(variable: Variable, values: np.ndarray, time: np.ndarray) -> Issue | None:
    """Set tiny negative values of a non-negative quantity, which are instrument noise, to zero."""
    below = values < 0.0
    if variable.lowest != 0.0 or not below.any():
        return None
    lowest = float(np.nanmin(values))
    if lowest < -variable.slack:
        return Issue("fatal", f"negative on {count_days(below, time)}; the lowest is {lowest:.4g} {variable.unit}")
    return Issue(
        "note",
        f"slightly negative on {count_days(below, time)} (down to {lowest:.3g} {variable.unit})",
        "set to 0",
        {variable.name: np.where(below, 0.0, values)},
    )


def check_range(variable: Variable, values: np.ndarray, time: np.ndarray) -> Issue | None:
    """Check that values are physically possible in the package's unit."""
    outside = (values < variable.lowest) | (values > variable.highest)
    if not outside.any():
        return None
    seen = values[np.isfinite(values)]
    return Issue(
        "fatal",
        f"outside {variable.lowest:g}..{variable.highest:g} {variable.unit} on {count_days(outside, time)}; "
        f"the values go from {seen.min():.4g} to {seen.max():.4g}",
    )


def check_daily_range(tasmin: np.ndarray, tasmax: np.ndarray, time: np.ndarray) -> Issue | None:
    """Check that the minimum does not exceed the maximum.

    On nearly every day the two variables are exchanged; on up to 1 % of the days the pair of that day is
    exchanged, which leaves its mean as it was; in between nobody can tell what happened.
    """
    wrong = tasmin > tasmax
    share = float(wrong.mean())
    if not wrong.any():
        return None
    if 0.01 < share < 0.95:
        return Issue("fatal", f"the minimum exceeds the maximum on {count_days(wrong, time)}")
    low, high = np.minimum(tasmin, tasmax), np.maximum(tasmin, tasmax)
    return Issue(
        "defect",
        f"the minimum exceeds the maximum on {count_days(wrong, time)}",
        "the two were exchanged on these days",
        {"tasmin": low, "tasmax": high},
    )


def departures(values: np.ndarray, window: int = 31) -> np.ndarray:
    """Return departures from a centred running mean (days,): what is left is weather, not season."""
    ones = np.ones(window)
    return values - np.convolve(values, ones, "same") / np.convolve(np.ones(len(values)), ones, "same")


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return Pearson's r; 0 where either is constant."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt(np.sum(a * a) * np.sum(b * b)))
    return float(np.sum(a * b) / scale) if scale > 0.0 else 0.0


def dryness_score(vpd: np.ndarray, tasmin: np.ndarray, tasmax: np.ndarray, rsds: np.ndarray) -> float:
    """Return how much like a vapour pressure deficit a series behaves, from -2 to 2.

    The sum of two correlations of departures from the 31-day mean: with es(Tmax) - es(Tmin) and with
    shortwave. A deficit rises on clear days, vapour pressure falls. Measured: the true deficit scores 0.61 or
    more at all of 105 FLUXNET2015 towers, their vapour pressure below 0.27, save one (US-Atq on the Arctic
    coast, 0.51). Without removing the season the test fails: r of vapour pressure with Tmax - Tmin is -0.7 in
    the seasonal tropics but positive in cold climates, where both peak in summer: it misses 79 of the 105.
    """
    clear = saturation_pressure(tasmax) - saturation_pressure(tasmin)
    weather = departures(vpd)
    return correlation(weather, departures(clear)) + correlation(weather, departures(rsds))


def check_vapour_pressure(
    vpd: np.ndarray, tasmin: np.ndarray, tasmax: np.ndarray, rsds: np.ndarray, time: np.ndarray
) -> Issue | None:
    """Find vapour pressure in the place of its deficit (see `dryness_score`; certain below 0.45).

    Mended: max((es(Tmin) + es(Tmax)) / 2 - e, 0). Against the measured deficit of AU-Dry (2011-14, 1,461
    days, mean 17.4 hPa) that has r = 0.94, bias +1.1 hPa and rmse 2.8 hPa; with es at the mean of Tmin and
    Tmax it would be r = 0.93, bias -1.1 hPa and rmse 3.0 hPa.
    """
    score = dryness_score(vpd, tasmin, tasmax, rsds)
    below_saturation = np.mean(vpd <= saturation_pressure(tasmax)) > 0.98
    if score >= 0.45 or vpd.min() == vpd.max() or not below_saturation:
        return None
    deficit = 0.5 * (saturation_pressure(tasmin) + saturation_pressure(tasmax)) - vpd
    return Issue(
        "defect",
        f"behaves like vapour pressure, not like its deficit ({count_days(np.isfinite(vpd), time)}; "
        f"it falls on clear days, score {score:.2f} where a deficit has 0.6 or more)",
        "replaced by (es(Tmin) + es(Tmax)) / 2 - e",
        {"vpd": np.maximum(deficit, 0.0)},
    )


def check_deficit_scale(vpd: np.ndarray, tasmin: np.ndarray, tasmax: np.ndarray) -> Issue | None:
    """Find a mean deficit out of proportion to (es(Tmax) - es(Tmin)) / 2.

    At 105 FLUXNET2015 towers the ratio is 0.52 to 2.53, so that a factor of ten shows.
    """
    typical = 0.5 * float(np.mean(saturation_pressure(tasmax) - saturation_pressure(tasmin)))
    ratio = float(np.mean(vpd)) / typical if typical > 0.0 else 1.0
    if 0.36 <= ratio <= 4.0:
        return None
    guess = "; the values look like kPa" if 0.03 < ratio < 0.36 else ""
    return Issue(
        "warning",
        f"its mean, {np.mean(vpd):.3g} hPa, is {ratio:.2g} times what the daily range suggests{guess}",
    )


def check_precipitation(pr: np.ndarray) -> Issue | None:
    """Check that years of precipitation have a day above 1 mm; else the unit is in doubt."""
    if pr.max() >= 1.0:
        return None
    return Issue("warning", f"the wettest day has {pr.max():.3g} mm: a desert, or not mm d-1")


def check_observation_windows(values: np.ndarray, training_days: int) -> Issue | None:
    """Find a stream without value in the calibration window, or missing on more than a fifth of the days."""
    missing = ~np.isfinite(values)
    if missing[:training_days].all():
        return Issue("warning", f"no value in the calibration window (its first {training_days} days)")
    if missing.mean() > 0.2:
        return Issue("note", f"missing on {missing.mean():.0%} of the days")
    return None


def check_against_reference(name: str, ours: np.ndarray, reference: np.ndarray) -> tuple[float, Issue | None]:
    """Compare a variable with an independent copy of it, on the days that both have (NaN elsewhere).

    Returns:
        The correlation (NaN below 90 common days) and a warning where the two agree in shape (r > 0.9) but
        not in size: means that differ by more than 15 %, for temperature by more than 1 K.
    """
    both = np.isfinite(ours) & np.isfinite(reference)
    if both.sum() < 90:
        return np.nan, None
    a, b = ours[both], reference[both]
    r = correlation(a, b)
    common = f"over {both.sum()} common days (r = {r:.2f})"
    if VARIABLES[name].unit == "degC":
        offset = float(np.mean(a - b))
        off = abs(offset) > 1.0
        message = f"{offset:+.2f} degC from the reference {common}"
    else:
        ratio = float(np.mean(a) / np.mean(b)) if np.mean(b) != 0.0 else np.inf
        off = not 0.85 <= ratio <= 1.15
        message = f"{ratio:.2f} times the reference {common}"
    return r, Issue("warning", message) if r > 0.9 and off else None


def looks_turned(values: np.ndarray) -> bool:
    """Return whether a flux that is positive over a year is negative in the mean of what is known of it."""
    known = values[np.isfinite(values)]
    return len(known) > 0 and float(known.mean()) < -TURNED


TURNED_WORDS = "negative in the mean; where a file counts the other way, variables.{}.sign = -1 says so"


def control(
    values: dict[str, np.ndarray],
    names: dict[str, str],
    time: np.ndarray,
    audit: Audit,
    variables: DriverVariables,
    compared: bool = True,
) -> None:
    """Run every check of values on a cell; what is mended replaces its array in `values`.

    Args:
        values: Forcing and streams in the package's units, NaN where missing, by name.
        names: The file's own name of each variable.
        time: Days since 2001-01-01, int64 (days,).
        audit: Takes the findings.
        variables: What forcing and streams there are.
        compared: Whether something will be compared with the streams; else they may lack values anywhere.

    Raises:
        InputError: Defects that the quality mode does not accept, all of them.
    """
    for spec in variables.forcing:
        audit.apply_quality(names[spec.name], check_gaps(values[spec.name], time), values)
    for spec in variables.all:
        audit.apply_quality(names[spec.name], check_kelvin(spec, values[spec.name]), values)
        audit.apply_quality(names[spec.name], check_negative(spec, values[spec.name], time), values)
        audit.apply_quality(names[spec.name], check_range(spec, values[spec.name], time), values)
    if not audit.defects:  # what is wrong by itself says nothing beside others
        _control_weather(values, names, time, audit)
    if not compared:
        audit.raise_defects()
        return
    window, streams = count_training_days(time), [spec.name for spec in variables.streams]
    if all(np.isnan(values[name][:window]).all() for name in streams):
        affected = " ".join(names[name] for name in streams)
        raise audit.error(affected, f"empty window: no observation in the first {window} days, the calibration window")
    for name in {"gpp", "reco"} & {*streams}:
        if looks_turned(values[name]):
            audit.add(names[name], "warning", TURNED_WORDS.format(name))
    for name in streams:
        audit.apply_quality(names[name], check_observation_windows(values[name], window), values)
    audit.raise_defects()


def _control_weather(values: dict[str, np.ndarray], names: dict[str, str], time: np.ndarray, audit: Audit) -> None:
    """Run the checks of variables against each other, as far as a model's drivers have them."""
    if {"tasmin", "tasmax"} <= values.keys():
        pair = f"{names['tasmin']} {names['tasmax']}"
        audit.apply_quality(pair, check_daily_range(values["tasmin"], values["tasmax"], time), values)
        air = values["tasmin"], values["tasmax"]
        if {"vpd", "rsds"} <= values.keys():
            audit.apply_quality(names["vpd"], check_vapour_pressure(values["vpd"], *air, values["rsds"], time), values)
        if "vpd" in values:
            audit.apply_quality(names["vpd"], check_deficit_scale(values["vpd"], *air), values)
    if "pr" in values:
        audit.apply_quality(names["pr"], check_precipitation(values["pr"]), values)
