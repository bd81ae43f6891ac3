import math
import tomllib
from pathlib import Path

import numpy as np
import pytest

from phloem.analysis.curves.curve_figures import leaf_economics_figure
from phloem.analysis.curves.leaf_economics import (
    LIFESPAN_UNITS,
    MASS_UNITS,
    Leaves,
    fit_leaf_economics_line,
    read_leaves,
)
from phloem.analysis.style.plot_style import to_png
from phloem.errors import InputError


def table(folder: Path, text: str) -> Path:
    path = folder / "traits.csv"
    path.write_text(text)
    return path


def leaves(lcma, lifespan) -> Leaves:
    return Leaves(np.asarray(lifespan, float), np.asarray(lcma, float), {}, Path("traits.csv"))


def test_an_exact_line_is_found():
    lcma = np.array([20.0, 50.0, 90.0, 160.0])
    line = fit_leaf_economics_line(leaves(lcma, np.exp(-3.0 + 0.8 * np.log(lcma))))
    assert (line.alpha, line.gamma) == (pytest.approx(-3.0), pytest.approx(0.8))
    assert line.sigma < 1e-12
    assert line.r2 == pytest.approx(1.0)
    assert line.lifespan(lcma) == pytest.approx(np.exp(-3.0) * lcma**0.8)


def test_three_leaves_by_hand():
    # x = 0, 1, 2 and y = 0, 2, 1: slope 1/2, intercept 1/2, residuals -1/2, 1, -1/2, SSE 3/2, SST 2.
    line = fit_leaf_economics_line(leaves(np.exp([0.0, 1.0, 2.0]), np.exp([0.0, 2.0, 1.0])))
    assert (line.alpha, line.gamma, line.n) == (pytest.approx(0.5), pytest.approx(0.5), 3)
    assert line.sigma == pytest.approx(math.sqrt(1.5))  # one degree of freedom is left
    assert line.r2 == pytest.approx(0.25)
    assert line.gamma_se == pytest.approx(math.sqrt(1.5 / 2.0))
    assert line.alpha_se == pytest.approx(math.sqrt(1.5 * (1.0 / 3.0 + 1.0 / 2.0)))
    # t = 1/sqrt(3) with one degree of freedom: p = 1 - 2 atan(t) / pi.
    assert line.p == pytest.approx(1.0 - 2.0 * math.atan(1.0 / math.sqrt(3.0)) / math.pi)


def test_truth_of_many_leaves_is_found():
    """As scattered as the published compilation."""
    slopes, sigmas, inside = [], [], 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        x = rng.normal(4.0, 0.5, 60)
        line = fit_leaf_economics_line(leaves(np.exp(x), np.exp(-4.5 + 1.1 * x + 0.65 * rng.standard_normal(60))))
        slopes.append(line.gamma)
        sigmas.append(line.sigma**2)
        inside += abs(line.gamma - 1.1) < 1.645 * line.gamma_se
    assert np.mean(slopes) == pytest.approx(1.1, abs=0.03)
    assert np.mean(sigmas) == pytest.approx(0.65**2, rel=0.03)  # with n in place of n - 2 it would be 3 % lower
    assert 170 <= inside <= 190


@pytest.mark.parametrize(
    ("header", "span", "mass"),
    [
        ("leaf_lifespan_months,lma_g_m2", 24.0, 80.0),
        ("leaf_lifespan_years,lma_kg_m2", 2.0, 0.08),
        ("leaf_lifespan_days,sla_m2_kg", 730.5, 12.5),
        ("leaf_lifespan_months,sla_mm2_mg", 24.0, 12.5),
        ("leaf_lifespan_months,sla_cm2_g", 24.0, 125.0),
    ],
)
def test_every_unit_gives_the_same_leaf(tmp_path, header, span, mass):
    found = read_leaves(table(tmp_path, f"species,{header}\npine,{span},{mass}\n"))
    assert found.lifespan == pytest.approx([2.0])
    assert found.lcma == pytest.approx([40.0])
    assert read_leaves(found.source, carbon_fraction=0.47).lcma == pytest.approx([37.6])


def test_columns_of_other_names(tmp_path):
    path = table(tmp_path, "LL,LMA,wood:age,needle_lma_g_m2\n24,80,2,90\n")
    one = read_leaves(path, "LL:months", "LMA:lma_g_m2")
    assert (one.lifespan.tolist(), one.lcma.tolist()) == ([2.0], [40.0])
    other = read_leaves(path, "wood:age:years", "needle_lma_g_m2")
    assert (other.lifespan.tolist(), other.lcma.tolist()) == ([2.0], [45.0])


def test_rows_that_cannot_be_used_are_counted_by_reason(tmp_path):
    text = "leaf_lifespan_months,lma_g_m2\n12,80\nNA,90\n,70\n24,NaN\n0,80\n24,-5\nlong,60\n36,120\n"
    found = read_leaves(table(tmp_path, text))
    assert found.lifespan.tolist() == [1.0, 3.0]
    assert found.dropped == {
        "no leaf_lifespan_months": 2,
        "no lma_g_m2": 1,
        "leaf_lifespan_months is not greater than 0": 1,
        "lma_g_m2 is not greater than 0": 1,
        "leaf_lifespan_months is not a number": 1,
    }
    with pytest.raises(
        InputError, match=r"traits\.csv: 2 leaves can be used; a line needs 3; 2 rows left out: no leaf"
    ):
        fit_leaf_economics_line(found)


@pytest.mark.parametrize(
    ("header", "options", "parts"),
    [
        ("a,lma_g_m2", {}, ["no column of leaf lifespan", "leaf_lifespan_years, leaf_lifespan_months", "a, lma_g_m2"]),
        ("leaf_lifespan_years,a", {}, ["no column of leaf mass per area", "sla_mm2_mg"]),
        ("leaf_lifespan_years,lma_g_m2,sla_m2_kg", {}, ["several columns of leaf mass", "lma_g_m2, sla_m2_kg"]),
        ("LL,lma_g_m2", {"lifespan": "LL"}, ["column 'LL' of leaf lifespan", "LL:UNIT", "years, months, days"]),
        ("LL,lma_g_m2", {"lifespan": "LL:weeks"}, ["column 'LL' of leaf lifespan", "years, months, days"]),
        ("LL,lma_g_m2", {"lifespan": "L:years"}, ["missing columns: L;", "LL, lma_g_m2"]),
        ("leaf_lifespan_years,lma_g_m2", {"carbon_fraction": 0.0}, ["carbon fraction 0"]),
        ("leaf_lifespan_years,lma_g_m2", {"carbon_fraction": 50.0}, ["carbon fraction 50"]),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, header, options, parts):
    path = table(tmp_path, f"{header}\n" + ",".join("1" for _ in header.split(",")) + "\n")
    with pytest.raises(InputError) as caught:
        read_leaves(path, **options)
    for part in parts:
        assert part in str(caught.value)


def test_leaves_of_one_mass_are_refused():
    with pytest.raises(InputError, match=r"all 3 leaves have one mass per area \(40 gC m-2\)"):
        fit_leaf_economics_line(leaves([40.0, 40.0, 40.0], [1.0, 2.0, 3.0]))


def test_toml_is_what_a_campaign_file_reads():
    line = fit_leaf_economics_line(leaves(np.exp([0.0, 1.0, 2.0]), np.exp([0.0, 2.0, 1.0])))
    read = tomllib.loads(line.toml())["experiment"]["leaf_economics"]
    assert list(read) == ["alpha", "gamma", "sigma"]
    assert list(read.values()) == pytest.approx([0.5, 0.5, math.sqrt(1.5)], rel=1e-5)


def test_the_figure_shows_leaves_and_line():
    data = leaves(np.exp([3.0, 4.0, 5.0]), np.exp([-1.0, 1.0, 0.5]))
    line = fit_leaf_economics_line(data)
    figure = leaf_economics_figure(data, line)
    dots, drawn = figure.axes[0].lines
    assert dots.get_xdata().tolist() == data.lcma.tolist()
    assert drawn.get_ydata() == pytest.approx(line.lifespan(drawn.get_xdata()))
    assert to_png(figure).startswith(b"\x89PNG")


def test_units_are_known_by_the_ends_of_names():
    assert [to_years(12.0) for to_years in LIFESPAN_UNITS.values()] == [12.0, 1.0, 12.0 / 365.25]
    assert list(MASS_UNITS) == ["lma_g_m2", "lma_kg_m2", "sla_m2_kg", "sla_mm2_mg", "sla_cm2_g"]
