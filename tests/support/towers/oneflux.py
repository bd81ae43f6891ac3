"""Tables of the ONEFlux family, written with known contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

HALF_HOURS = "FLX_XX-Tes_FLUXNET2015_FULLSET_HH_2003-2003_1-4.csv"
SITES = "SITE_ID,lat,lon,elevation,igbp\nXX-Tes,51.5,10.25,430,DBF\n"
DIGITS = {"HH": 12, "HR": 12, "DD": 8, "MM": 6}


def stamps(moments: np.ndarray, resolution: str = "HH") -> list[str]:
    """Return stamps such as 200301312330."""
    digits = DIGITS[resolution]
    return [str(one).translate(str.maketrans("", "", "-T:"))[:digits] for one in moments.astype("datetime64[m]")]


def moments(first: str = "2003-01", last: str = "2003-03", minutes: int = 30) -> np.ndarray:
    """Return the beginnings of all steps from a month to a month, inclusive."""
    end = np.datetime64(last, "M") + 1
    return np.arange(np.datetime64(first, "M").astype("datetime64[m]"), end.astype("datetime64[m]"), minutes)


def columns(starts: np.ndarray, seed: int = 1) -> dict[str, np.ndarray]:
    """Return columns of a tower, random but for flags: all measured."""
    draw, count = np.random.default_rng(seed), len(starts)
    hour = (starts - starts.astype("datetime64[D]")).astype(float) / 60
    made = {
        "TA_F": draw.normal(8, 5, count),
        "SW_IN_F": np.maximum(600 * np.sin(np.pi * (hour - 6) / 12), 0),
        "VPD_F": draw.uniform(0, 20, count),
        "P_F": draw.exponential(0.05, count),
        "PA_F": draw.normal(98, 1, count),
        "NEE_VUT_REF": draw.normal(-2, 5, count),
        "GPP_NT_VUT_REF": draw.normal(6, 4, count),
        "RECO_NT_VUT_REF": draw.normal(4, 2, count),
        "GPP_DT_VUT_REF": draw.normal(6, 4, count),
        "RECO_DT_VUT_REF": draw.normal(4, 2, count),
        "LE_F_MDS": draw.normal(60, 30, count),
    }
    return made | {f"{name}_QC": np.zeros(count) for name in ("TA_F", "SW_IN_F", "VPD_F", "NEE_VUT_REF", "LE_F_MDS")}


def text(starts: np.ndarray, values: Mapping[str, np.ndarray | Sequence[str] | None], resolution: str = "HH") -> str:
    """Return a table; values that are NaN are written as -9999, columns that are None are left out."""
    minutes = {"HH": 30, "HR": 60}.get(resolution)
    dated: dict[str, list[str]] = {"TIMESTAMP": stamps(starts, resolution)}
    if minutes:
        dated = {"TIMESTAMP_START": stamps(starts), "TIMESTAMP_END": stamps(starts + np.timedelta64(minutes, "m"))}
    fields = dict(dated)
    for name, numbers in values.items():
        if numbers is None:
            fields.pop(name, None)
        elif isinstance(numbers, np.ndarray):
            fields[name] = [repr(float(number)) for number in np.where(np.isnan(numbers), -9999.0, numbers)]
        else:
            fields[name] = list(numbers)
    return "\n".join([",".join(fields), *map(",".join, zip(*fields.values(), strict=True))]) + "\n"


def put(folder: Path, contents: str, name: str = HALF_HOURS, sites: str = SITES) -> Path:
    """Write a table and the table of sites beside it; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(contents, newline="")
    (folder / "sites.csv").write_text(sites)
    return folder
