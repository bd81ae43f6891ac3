"""Months of tables of the ONEFlux family, against sums of numpy; and what each damage of a table leads to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phloem.errors import InputError
from phloem.io.drivers.oneflux_files import ArchivedFile, table_of
from phloem.io.flux_towers.oneflux_months import OneTower, read_oneflux_months
from tests.support.towers.oneflux import HALF_HOURS, columns, moments, stamps, text

CARBON = 12.011e-6 * 86400.0
STARTS = moments()
MONTHS = STARTS.astype("datetime64[M]")


def read(folder: Path, contents: str | bytes, name: str = HALF_HOURS, completeness: float = 0.9) -> OneTower:
    path = folder / name
    path.write_bytes(contents.encode() if isinstance(contents, str) else contents)
    table = table_of(ArchivedFile(path))
    assert table is not None
    return read_oneflux_months(table, completeness)


def by_month(values: np.ndarray, months: np.ndarray = MONTHS) -> list[float]:
    return [float(np.nanmean(values[months == month])) for month in np.unique(months)]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10**6), holes=st.floats(0, 0.2), hourly=st.booleans(), first=st.integers(0, 400),
    completeness=st.floats(0.5, 1.0),
)  # fmt: skip
def test_months_of_random_half_hours_equal_means_of_numpy(
    tmp_path: Path, seed: int, holes: float, hourly: bool, first: int, completeness: float
) -> None:
    minutes, a_day = (60, 24) if hourly else (30, 48)
    begin = np.datetime64("1999-12", "M") + first
    starts = moments(str(begin), str(begin + 2), minutes)
    draw, values = np.random.default_rng(seed), columns(starts, seed)
    for name in ("TA_F", "SW_IN_F", "VPD_F", "P_F", "PA_F", "NEE_VUT_REF", "GPP_NT_VUT_REF", "LE_F_MDS"):
        values[name] = np.where(draw.random(len(starts)) < holes, np.nan, values[name])
    for name in ("NEE_VUT_REF_QC", "LE_F_MDS_QC", "TA_F_QC"):
        values[name] = draw.integers(0, 4, len(starts)).astype(float)
    name = HALF_HOURS.replace("_HH_", "_HR_") if hourly else HALF_HOURS
    tower = read(tmp_path, text(starts, values, "HR" if hourly else "HH"), name, completeness)
    assert tower.months.tolist() == (begin + np.arange(3)).tolist()
    owner = starts.astype("datetime64[M]")
    expected = {
        "TA": ("TA_F", 1.0), "SWIN": ("SW_IN_F", 1.0), "VPD": ("VPD_F", 1.0), "P": ("P_F", a_day), "PA": ("PA_F", 10.0),
        "NEE": ("NEE_VUT_REF", CARBON), "GPP": ("GPP_NT_VUT_REF", CARBON), "RECO": ("RECO_NT_VUT_REF", CARBON),
        "GPP_DT": ("GPP_DT_VUT_REF", CARBON), "LE": ("LE_F_MDS", 1.0),
    }  # fmt: skip
    flags = {"NEE": "NEE_VUT_REF_QC", "LE": "LE_F_MDS_QC", "TA": "TA_F_QC"}
    for row, month in enumerate(tower.months):
        inside = owner == month
        for key, (column, factor) in expected.items():
            part = values[column][inside]
            whole = np.isfinite(part).sum() >= completeness * len(part)
            due = np.nanmean(part) * factor if whole else np.nan
            np.testing.assert_allclose(tower.values[key][row], due, rtol=1e-10, err_msg=key)
            if key in flags:
                share = np.isin(values[flags[key]][inside], (0, 1)).mean() if whole else np.nan
                np.testing.assert_allclose(tower.values[f"{key}_QC"][row], share, rtol=1e-12)
        bright = inside & (np.nan_to_num(values["SW_IN_F"]) > 20)
        if np.isfinite(tower.values["VPD_DAY"][row]):
            np.testing.assert_allclose(tower.values["VPD_DAY"][row], np.nanmean(values["VPD_F"][bright]), rtol=1e-10)
        else:
            assert np.isnan(tower.values["VPD"][row]) or np.isnan(tower.values["SWIN"][row])


def test_month_below_the_completeness_is_missing_and_told(tmp_path: Path) -> None:
    values = columns(STARTS)
    values["NEE_VUT_REF"][: int(0.11 * 31 * 48)] = np.nan
    tower = read(tmp_path, text(STARTS, values))
    assert np.isnan(tower.values["NEE"][0])
    assert np.isnan(tower.values["NEE_QC"][0])
    assert np.isfinite(tower.values["NEE"][1:]).all()
    assert np.isfinite(tower.values["GPP"]).all()
    assert "NEE 1 of 3 months have less than 90% of their steps, and are missing" in tower.notes


def test_month_belongs_to_where_its_steps_begin(tmp_path: Path) -> None:
    values = columns(STARTS)
    values["TA_F"] = MONTHS.astype(float)
    due = np.unique(MONTHS).astype(float)
    np.testing.assert_allclose(read(tmp_path, text(STARTS, values)).values["TA"], due, rtol=1e-12)
    ends_only = text(STARTS, values | {"TIMESTAMP_START": None})
    np.testing.assert_allclose(read(tmp_path, ends_only).values["TA"], due, rtol=1e-12)


@pytest.mark.parametrize(("shift", "said"), [(0, "begin"), (30, "end")])
def test_lone_timestamp_of_half_hours_shows_by_its_first_whether_it_ends(tmp_path: Path, shift: int, said: str) -> None:
    values = columns(STARTS)
    plain = stamps(STARTS + shift)
    tower = read(tmp_path, text(STARTS, {"TIMESTAMP": plain, "TIMESTAMP_START": None, "TIMESTAMP_END": None} | values))
    np.testing.assert_allclose(tower.values["TA"], by_month(values["TA_F"]), rtol=1e-12)
    assert f"TIMESTAMP is taken to {said} the steps, as the first of them shows" in tower.notes


def test_days_are_averaged_with_their_shares(tmp_path: Path) -> None:
    days = moments(minutes=1440)
    values = columns(days)
    values["NEE_VUT_REF_QC"] = np.random.default_rng(3).random(len(days))
    values["TA_F"][:4] = np.nan  # 27 of 31 days
    tower = read(tmp_path, text(days, values, "DD"), HALF_HOURS.replace("_HH_", "_DD_"))
    months = days.astype("datetime64[M]")
    np.testing.assert_allclose(tower.values["GPP"], by_month(values["GPP_NT_VUT_REF"], months))
    np.testing.assert_allclose(tower.values["P"], by_month(values["P_F"], months))
    np.testing.assert_allclose(tower.values["NEE_QC"], by_month(values["NEE_VUT_REF_QC"], months))
    np.testing.assert_array_equal(np.isnan(tower.values["TA"]), [True, False, False])
    assert "VPD_DAY" not in tower.values


def test_months_are_taken_as_they_are(tmp_path: Path) -> None:
    months = np.arange(np.datetime64("2003-01"), np.datetime64("2003-09")).astype("datetime64[m]")
    values = columns(months)
    values["NEE_VUT_REF_QC"] = np.linspace(0.2, 1.0, 8)
    values["GPP_NT_VUT_REF"][3] = np.nan
    tower = read(tmp_path, text(months, values, "MM"), HALF_HOURS.replace("_HH_", "_MM_"))
    for key, name in {"NEE": "NEE_VUT_REF", "GPP": "GPP_NT_VUT_REF", "P": "P_F", "NEE_QC": "NEE_VUT_REF_QC"}.items():
        np.testing.assert_array_equal(tower.values[key], values[name])
    np.testing.assert_allclose(tower.values["PA"], values["PA_F"] * 10)
    assert tower.provenance["resolution"] == "MM"
    assert tower.provenance["months"] == "8"
    assert float(tower.provenance["share_good"]) == pytest.approx(0.6)


def test_constant_threshold_is_taken_where_the_variable_one_has_no_value(tmp_path: Path) -> None:
    values = columns(STARTS)
    for name in ("NEE", "GPP_NT", "RECO_NT"):
        values[f"{name}_CUT_REF"] = values[f"{name}_VUT_REF"].copy()
        values[f"{name}_VUT_REF"][:] = np.nan
    values["NEE_CUT_REF_QC"] = np.ones(len(STARTS))
    del values["GPP_DT_VUT_REF"], values["RECO_DT_VUT_REF"]
    tower = read(tmp_path, text(STARTS, values))
    np.testing.assert_allclose(tower.values["GPP"], np.array(by_month(values["GPP_NT_CUT_REF"])) * CARBON)
    np.testing.assert_array_equal(tower.values["NEE_QC"], [1, 1, 1])
    assert "NEE=NEE_CUT_REF GPP=GPP_NT_CUT_REF" in tower.provenance["columns"]


def test_subset_without_soil_and_partitioning_is_read(tmp_path: Path) -> None:
    keep = ("TA_F", "SW_IN_F", "LE_F_MDS", "LE_F_MDS_QC")
    values = {name: one for name, one in columns(STARTS).items() if name in keep}
    tower = read(tmp_path, text(STARTS, values), HALF_HOURS.replace("FULLSET", "SUBSET"))
    assert tower.values.keys() == {"TA", "SWIN", "LE", "LE_QC"}
    assert tower.provenance["product"] == "FLUXNET2015 SUBSET"


def good() -> str:
    return text(STARTS, columns(STARTS))


def shuffled(contents: str) -> str:
    header, *rows = contents.splitlines()
    order = np.random.default_rng(0).permutation(len(rows))
    return "\n".join([header, *(rows[n] for n in order)]) + "\n"


READ_THE_SAME: dict[str, Callable[[str], str | bytes]] = {
    "byte order mark": lambda one: b"\xef\xbb\xbf" + one.encode(),
    "windows line ends": lambda one: one.replace("\n", "\r\n"),
    "no newline at the end": lambda one: one.rstrip("\n"),
    "empty lines": lambda one: one.replace("\n", "\n\n", 40) + "\n\n",
    "quoted fields": lambda one: "\n".join(
        ",".join(f'"{field}"' for field in line.split(",")) for line in one.splitlines()
    ),
    "blanks around fields": lambda one: one.replace(",", " , "),
    "rows out of order": shuffled,
    "column that stands twice with the same values": lambda one: "\n".join(
        f"{line},{line.split(',')[2]}" for line in one.splitlines()
    ),
}


@pytest.mark.parametrize("what", READ_THE_SAME)
def test_odd_but_whole_table_reads_the_same_months(tmp_path: Path, what: str) -> None:
    due, have = read(tmp_path, good()), read(tmp_path, READ_THE_SAME[what](good()))
    assert have.values.keys() == due.values.keys()
    for name, values in due.values.items():
        np.testing.assert_allclose(have.values[name], values, rtol=1e-12, err_msg=name)


def test_what_is_odd_is_told(tmp_path: Path) -> None:
    assert any("out of order" in note for note in read(tmp_path, shuffled(good())).notes)
    twice = READ_THE_SAME["column that stands twice with the same values"](good())
    assert "column TA_F stands 2 times, with the same values" in read(tmp_path, twice).notes


@pytest.mark.parametrize("word", ["", "NA", "nan", "-9999", "-9999.0", "-9.999e3"])
def test_each_word_for_missing_reads_as_missing(tmp_path: Path, word: str) -> None:
    values = columns(STARTS)
    texts = [word if n < 600 else repr(float(one)) for n, one in enumerate(values["LE_F_MDS"])]
    tower = read(tmp_path, text(STARTS, values | {"LE_F_MDS": texts}))
    assert np.isnan(tower.values["LE"]).tolist() == [True, False, False]


def test_steps_that_have_no_row_are_told_and_count_as_missing(tmp_path: Path) -> None:
    values = columns(STARTS)
    keep = np.r_[0:100, 400 : len(STARTS)]  # 300 of 1488 half hours
    tower = read(tmp_path, text(STARTS[keep], {name: one[keep] for name, one in values.items()}))
    assert "300 steps have no row" in tower.notes
    assert np.isnan(tower.values["GPP"]).tolist() == [True, False, False]
    one_less = np.delete(np.arange(len(STARTS)), 50)
    tower = read(tmp_path, text(STARTS[one_less], {name: one[one_less] for name, one in values.items()}))
    assert "1 steps have no row" in tower.notes
    np.testing.assert_allclose(tower.values["NEE_QC"], [1487 / 1488, 1, 1])


def line_changed(number: int, change: Callable[[str], str]) -> Callable[[str], str]:
    def of(contents: str) -> str:
        lines = contents.split("\n")
        lines[number - 1] = change(lines[number - 1])
        return "\n".join(lines)

    return of


def field_changed(number: int, place: int, new: str) -> Callable[[str], str]:
    def of(line: str) -> str:
        fields = line.split(",")
        fields[place] = new
        return ",".join(fields)

    return line_changed(number, of)


def renamed(old: str, new: str) -> Callable[[str], str]:
    return lambda one: one.replace(old, new, 1)


def other_copy(contents: str) -> str:
    lines = [f"{line},{line.split(',')[2]}" for line in contents.splitlines()]
    lines[6] = lines[6].rpartition(",")[0] + ",99"
    return "\n".join(lines)


REFUSED: dict[str, tuple[Callable[[str], str | bytes], str]] = {
    "nothing": (lambda one: "", "empty; a line of column names is due"),
    "header alone": (lambda one: one.split("\n")[0] + "\n", "no row below the header"),
    "line with a field less": (
        line_changed(7, lambda line: line.rsplit(",", 1)[0]), "line 7: 17 fields; the header has 18"),
    "line with a field more": (line_changed(7, lambda line: line + ",1"), "line 7: 19 fields; the header has 18"),
    "decimal comma": (field_changed(9, 4, "12,5"), "line 9: 19 fields; the header has 18; a decimal comma"),
    "quoted decimal comma": (
        lambda one: field_changed(9, 2, '"12,5"')(one), "line 9: column TA_F: '12,5' is not a number; points are due"),
    "text in a number": (field_changed(12, 2, "8.3x"), "line 12: column TA_F: '8.3x' is not a number"),
    "infinite number": (field_changed(12, 2, "inf"), "line 12: column TA_F: inf is not a number"),
    "other mark of missing": (
        field_changed(12, 2, "-6999"), "line 12: column TA_F: -6999 cannot be, and is not -9999"),
    "cut last line": (lambda one: one[:-60], "line 4321: [0-9]+ fields; the header has 18; the file ends within this"),
    "stamp twice": (
        line_changed(9, lambda line: ",".join(["200301010300", "200301010330", *line.split(",")[2:]])),
        "line 9: column TIMESTAMP_START: 200301010300 stands there and on line 8"),
    "stamp that is no date": (
        field_changed(9, 0, "200302300300"), "line 9: column TIMESTAMP_START: 200302300300 is no YYYYMMDDhhmm that"),
    "stamp of a month 13": (field_changed(9, 0, "200313010300"), "200313010300 is no YYYYMMDDhhmm that there is"),
    "stamp of a day": (field_changed(9, 0, "20030101"), "line 9: column TIMESTAMP_START: 20030101 is no YYYYMMDDhhmm"),
    "stamp with marks": (field_changed(9, 0, "2003-01-01 03:30"), "line 9: column TIMESTAMP_START: '2003-01-01 03:30'"),
    "no stamp": (field_changed(9, 0, "-9999"), "line 9: column TIMESTAMP_START: no time"),
    "end that is none": (
        field_changed(9, 1, "200301010430"), "line 9: column TIMESTAMP_END: 200301010430 is not 30 minutes after"),
    "stamp between steps": (
        line_changed(9, lambda line: ",".join(["200301010317", "200301010347", *line.split(",")[2:]])),
        "line 9: column TIMESTAMP_START: 200301010317 is no multiple of 30 minutes"),
    "semicolons": (lambda one: one.replace(",", ";"), "fields are separated by semicolons; commas are due"),
    "tabs": (lambda one: one.replace(",", "\t"), "fields are separated by tabs"),
    "semicolons from a line on": (
        line_changed(7, lambda line: line.replace(",", ";")), "line 7: 1 fields; .* commas are due between fields"),
    "columns of one name that differ": (other_copy, "line 7: column TA_F stands twice in the header, with"),
    "no weather": (renamed("TA_F,", "TA_ERA,"), "missing columns: TA_F or TA_F_MDS; the table has TIMESTAMP_START"),
    "no stamps": (
        lambda one: one.replace("TIMESTAMP_", "DATE_"),
        "missing columns: TIMESTAMP_START or TIMESTAMP_END or TIMESTAMP"),
    "no flux": (
        lambda one: one.replace("_VUT_", "_X_").replace("LE_F_MDS", "LE"), "missing columns: NEE_VUT_REF or GPP_NT"),
    "bytes that are no text": (
        lambda one: one.encode()[:200] + b"\xff\xfe" + one.encode()[200:], r"line 2: not UTF-8 text"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_damaged_table_is_refused_with_file_line_and_column(tmp_path: Path, what: str) -> None:
    damage, said = REFUSED[what]
    with pytest.raises(InputError, match=said) as caught:
        read(tmp_path, damage(good()))
    assert HALF_HOURS in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damage_beyond_the_first_part_is_named_by_its_line(tmp_path: Path) -> None:
    starts = moments("2003-01", "2004-04")
    contents = text(starts, columns(starts))
    assert len(starts) > 22_000
    with pytest.raises(InputError, match="line 22000: column SW_IN_F: 'dark' is not a number"):
        read(tmp_path, field_changed(22_000, 3, "dark")(contents))


def test_flux_columns_without_any_value_are_refused(tmp_path: Path) -> None:
    values = columns(STARTS)
    for name in values:
        if "VUT" in name or "LE" in name:
            values[name][:] = np.nan
    with pytest.raises(InputError, match="no value of any flux: NEE_VUT_REF, GPP_NT_VUT_REF"):
        read(tmp_path, text(STARTS, values))


def test_flux_without_flags_is_read_and_its_share_is_unknown(tmp_path: Path) -> None:
    tower = read(tmp_path, text(STARTS, columns(STARTS) | {"NEE_VUT_REF_QC": None}))
    assert "NEE_QC" not in tower.values
    assert "NEE: no column NEE_VUT_REF_QC; its share of good data is not known" in tower.notes
