import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr

from phloem.analysis.report.page import Contents, write_report
from phloem.analysis.report.towers import SiteSeries
from phloem.analysis.report_data.tower_product import read_product
from phloem.analysis.report_data.walls import AtBounds, Clamped, Walls
from phloem.errors import InputError
from phloem.io.merge.member_statistics import median_and_rcv
from phloem.model_tables import NOTHING_DERIVED
from phloem.names import PERIOD, STATUS, STREAMS
from tests.support.analysis.report_samples import facts, tower_cells
from tests.support.kernels.dalec_names import LOSS_TERMS, PARAMETERS, TOWERS

CELLS = ("FI-Hyy", "DE-Tha", "US-Var")
MEMBERS = 5
DAYS = 731
TABLES = replace(
    TOWERS,
    parameters=tuple(
        one if one.period else replace(one, lower=0.01, upper=10.0, unit="gC m-2 d-1", meaning=f"mean {one.name}")
        for one in TOWERS.parameters
    ),
)
FEW = ("f_auto", "f_root", "bud_burst_day", "leaf_fall_day", "turnover_wood", "combustion_dom")
"""Parameters enough for what a page says of each: a map takes 0.1 s to draw, and all of the model's are 36."""
VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Visible text, ids and links of a page; fails on tags that do not match."""

    def __init__(self, path):
        super().__init__()
        self.open, self.ids, self.links, self.words = [], [], [], []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert self.open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)
        self.note(attributes)

    def handle_startendtag(self, tag, attributes):
        self.note(attributes)

    def note(self, attributes):
        for key, value in attributes:
            if key == "id":
                self.ids.append(value)
            if key in ("href", "xlink:href", "src"):
                self.links.append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    def svgs(self):
        return re.findall(r"<svg.*?</svg>", self.source, flags=re.S)


def tables_of(merged):
    """Return the tables of a model that has the parameters of a product; only the whole model derives quantities."""
    names = merged["parameter"].values.tolist()
    if set(names) == set(PARAMETERS):
        return TABLES
    parameters = tuple(one for one in TABLES.parameters if one.name in names)
    return replace(TABLES, parameters=parameters, derived=NOTHING_DERIVED, attributed=(), strategy=None)


def product(status=None, cells=CELLS, names=FEW):
    rng = np.random.default_rng(3)
    lanes = (len(cells), MEMBERS)
    status = np.zeros(lanes, dtype="i1") if status is None else np.asarray(status, dtype="i1")
    failed = status >= STATUS["diverged"]

    def lane(shape=(), low=0.0, high=1.0):
        values = rng.uniform(low, high, (*lanes, *shape))
        values[failed] = np.nan
        return values

    parameters = lane((len(names),), 0.5, 0.6)
    for name in ("bud_burst_day", "leaf_fall_day"):
        parameters[..., names.index(name)] = PERIOD + lane((), 99.5, 100.5)
    median, rcv = median_and_rcv(np.moveaxis(parameters, 1, 2), ~failed[:, None, :])
    trace = np.sort(lane((7,), -3.0, 300.0), axis=-1)[..., ::-1]
    return xr.Dataset(
        {
            "status": (("cell", "member"), status),
            "redraws": (("cell", "member"), np.where(failed, 5, 0).astype("i1")),
            "iterations": (("cell", "member"), np.full(lanes, 1800, "i4")),
            "gradient_equivalents": (("cell", "member"), np.full(lanes, 612.4)),
            "stop": (("cell", "member"), np.ones(lanes, "i1")),
            "loss": (("cell", "member"), lane((), -3.5, -2.5)),
            "best_loss": (("cell", "member"), lane((), -3.6, -3.5)),
            "loss_terms": (("cell", "member", "term"), lane((5,))),
            "loss_trace": (("cell", "member", "trace"), trace.astype("f4")),
            "trace_iteration": ("trace", np.arange(7, dtype="i4") * 300),
            "nnse": (("cell", "member", "stream"), lane((4,))),
            "nnse_validation": (("cell", "member", "stream"), lane((4,))),
            "parameters": (("cell", "member", "parameter"), parameters),
            "parameters_median": (("cell", "parameter"), median),
            "parameters_rcv": (("cell", "parameter"), rcv),
        },
        coords={
            "cell": list(cells),
            "parameter": list(names),
            "stream": list(STREAMS),
            "term": list(LOSS_TERMS),
        },
    )


def series(cell, days=DAYS, **changes):
    rng = np.random.default_rng(4)
    wave = 3 + 2 * np.sin(np.arange(days) / 58.1)
    values = {
        "cell": cell,
        "time": np.datetime64("2001-01-01") + np.arange(days),
        "training_days": 365,
        "observed": {stream: wave + rng.normal(size=days) for stream in STREAMS},
        "simulated": {stream: wave + rng.normal(size=(MEMBERS, days)) for stream in STREAMS},
        "findings": (f"{cell}: VPD is vapour pressure",),
    }
    return SiteSeries(**{**values, **changes})


def contents(merged, sites, **changes):
    made = facts(**changes)
    return Contents(
        title=made.name, facts=[made], sets=[tower_cells(merged, tables_of(merged))], towers=(merged, sites)
    )


def render(tmp_path, merged, sites, **changes):
    page = Page(write_report(contents(merged, sites, **changes), tmp_path / "report"))
    assert page.source.startswith("<!DOCTYPE html>")
    assert not re.search(r"(?i:\bnan\b)|\bNone\b", page.text)
    assert not re.search(
        r"[\s\"'(,:]-?(nan|inf)[\s\"',;)]", page.source.split('<script type="text/plain"')[0], flags=re.I
    )
    assert len(page.ids) == len(set(page.ids))
    for svg in page.svgs():
        ElementTree.fromstring(f'<r xmlns:xlink="x">{svg}</r>')
    for link in page.links:
        assert link.startswith(("#", "data:image/png;base64,"))
        assert link[0] != "#" or link[1:] in page.ids
    script = page.source.index("<script>")
    assert "http" not in page.source[:script].replace("http-equiv", "")
    assert set(re.findall(r"https?://[^\"' )]+", page.source[script:])) == {"http://www.w3.org/2000/svg"}
    assert re.findall(r"url\((?!#)", page.source[:script]) == []
    return page


def test_page_holds_the_numbers_of_the_product(tmp_path):
    status = np.zeros((3, MEMBERS), int)
    status[1, 2], status[1, 4] = STATUS["calibrated_after_redraw"], STATUS["diverged"]
    merged = product(status, names=PARAMETERS)
    page = render(tmp_path, merged, [series(cell) for cell in CELLS])
    kept = status < STATUS["diverged"]
    for index, cell in enumerate(CELLS):
        best = int(np.nanargmin(merged.loss.values[index]))
        row = [cell, f"{kept[index].sum()}/5"]
        for name in ("nnse", "nnse_validation"):
            values = merged[name].values[index]
            for stream in range(4):
                row += [f"{np.median(values[kept[index], stream]):.3f}", f"{values[best, stream]:.3f}"]
        assert " ".join(row) in page.text
        assert f"{cell}: VPD is vapour pressure" in page.text
        assert page.links.count(f"#cell-{index}") == 2
        for loss in merged.loss.values[index][kept[index]]:
            assert f"{loss:.3f}".replace("-", "−") in page.text
    assert "14 / 15 lanes calibrated" in page.text
    assert "1 of them after a redraw" in page.text
    assert "DE-Tha 4 diverged 5" in page.text
    assert "--set campaign.seed=1 --out OTHER" in page.text
    assert "12 min 34 s" in page.text
    for fact in ("9.8.7", "c0ffee", "seed 31", "tile attempts 12", 'name = "Towers <of> May"'):
        assert fact in page.text
    assert page.text.count("validation period, from the day after 2001-12-31") == 3
    assert "Recovery" not in page.text


def test_without_failures_it_says_none(tmp_path):
    page = render(tmp_path, product(), [series("FI-Hyy")])
    assert "Failed lanes none" in page.text
    assert page.text.count("No daily series of this cell were given.") == 2


def test_everything_failed(tmp_path):
    status = np.full((3, MEMBERS), STATUS["diverged"])
    status[2] = STATUS["missing"]
    merged = product(status)
    merged["iterations"][2] = -2147483647
    empty = {stream: np.full((MEMBERS, DAYS), np.nan) for stream in STREAMS}
    truth = {"FI-Hyy": dict.fromkeys(FEW, 0.5)}
    page = render(tmp_path, merged, [series(cell, simulated=empty) for cell in CELLS], truth=truth)
    assert "0 / 15 lanes calibrated" in page.text
    assert "No lane of this campaign was calibrated" in page.text
    assert page.text.count("no loss curve was kept") == 3
    assert "FI-Hyy 0, 1, 2, 3, 4 diverged 5" in page.text
    assert "US-Var 0, 1, 2, 3, 4 missing" in page.text
    assert "no member of its cells was calibrated" in page.text
    assert "2,147" not in page.text


def test_missing_stream_and_simulation_of_failed_lanes(tmp_path):
    status = np.zeros((3, MEMBERS), int)
    status[0] = STATUS["diverged"]
    merged = product(status)
    merged["nnse"][1, :, 3] = np.nan
    gone = series("DE-Tha")
    observed = {**gone.observed, "lai": np.full(DAYS, np.nan)}
    del observed["et"]
    sites = [
        series("FI-Hyy"),
        series("DE-Tha", observed=observed, simulated={}),
        series("US-Var", training_days=DAYS),
    ]
    page = render(tmp_path, merged, sites)
    labels = [" ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg)) for svg in page.svgs() if "<text" in svg]
    both = [label for label in labels if "no observations · not calibrated" in label]
    assert [label.count("no observations") for label in both] == [2, 2]
    # Values of lanes that diverged are not drawn, although the series has them.
    assert sum(label.count("not calibrated") == 4 and "no obs" not in label for label in labels) == 2
    assert "no obs." in page.text
    assert "the whole record is the calibration period" in page.text


def test_same_input_same_bytes_and_refusal_leaves_the_old_report(tmp_path):
    sites = [series(cell) for cell in CELLS]
    first = write_report(contents(product(names=PARAMETERS), sites), tmp_path / "a")
    assert first == tmp_path / "a" / "index.html"
    before = {path.relative_to(tmp_path / "a"): path.read_bytes() for path in (tmp_path / "a").rglob("*.*")}
    write_report(contents(product(names=PARAMETERS), iter(sites)), tmp_path / "b")
    assert {path.relative_to(tmp_path / "b"): path.read_bytes() for path in (tmp_path / "b").rglob("*.*")} == before
    with pytest.raises(InputError, match="XX-Yyy"):
        write_report(contents(product(), [series("XX-Yyy")]), tmp_path / "a")
    assert {path.relative_to(tmp_path / "a"): path.read_bytes() for path in (tmp_path / "a").rglob("*.*")} == before
    kinds = [path.suffix for path in before]
    assert kinds.count(".html") == 1
    assert kinds.count(".png") > 30
    assert kinds.count(".csv") > 8


def test_names_are_escaped(tmp_path):
    cell = "A&B <script>alert(1)</script> $x^2$"
    page = render(tmp_path, product(cells=(cell,), status=np.zeros((1, MEMBERS))), [series(cell)])
    assert page.source.count("<script>") == 1
    assert cell in page.text
    assert "Towers <of> May" in page.text


def test_unconverged_parameters_are_marked(tmp_path):
    merged = product(cells=("FI-Hyy",), status=np.zeros((1, MEMBERS)))
    merged["parameters_rcv"][:] = 0.1
    merged["parameters_rcv"][0, FEW.index("f_root")] = 0.37
    page = render(tmp_path, merged, [])
    assert page.text.count("0.37 ▲") == 1
    assert page.source.count('class="unconverged"') == 1
    day = np.mod(merged["parameters_median"].sel(parameter="bud_burst_day").item(), PERIOD)
    assert 99 < day < 101
    assert f"365.25 {day:.1f} 0.10" in page.text
    assert "combustion_dom" not in page.text


def test_recovery_is_counted(tmp_path):
    merged = product(cells=("FI-Hyy",), status=[[0, 0, 0, 0, 2]])
    for name, values in {
        "f_auto": [1, 2, 3, 4],
        "f_root": [1, 2, 3, 4],
        "bud_burst_day": [363, 364, 366, 367],
    }.items():
        slot = FEW.index(name)
        merged["parameters"][0, :4, slot] = values
        merged["parameters_median"][0, slot] = 2.5 if name != "bud_burst_day" else 365.0
        merged["parameters_rcv"][0, slot] = 0.2
    truth = {
        "FI-Hyy": {"f_auto": 2.0, "f_root": 5.0, "bud_burst_day": 2 * PERIOD + 1.0},
        "elsewhere": {"f_root": 1.0},
    }
    page = render(tmp_path, merged, [], truth=truth)
    assert "in 2 of 3 pairs" in page.text
    assert "about 2 would be expected" in page.text
    assert "In 3 pairs the members agree (rCV ≤ 0.3), and in 1 of these" in page.text
    assert re.search(r"FI-Hyy f_auto gC m⁻² d⁻¹ 2 2\.5 \+25\.0 % 1 of 4 yes", page.text)
    assert re.search(r"FI-Hyy f_root gC m⁻² d⁻¹ 5 2\.5 −50\.0 % 4 of 4 yes", page.text)
    # Day 1 lies between 363 and 367 - 365.25; the median, day 365, is 1.25 days before it.
    assert re.search(r"FI-Hyy bud_burst_day d 1\.0 365\.0 −1\.2 d 3 of 4 yes", page.text)
    with pytest.raises(InputError, match=r"f_rot; valid: .*f_root"):
        render(tmp_path, merged, [], truth={"FI-Hyy": {"f_rot": 1.0}})


def test_wrong_input_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nnse, trace_iteration: write it again with `phloem merge DIR`"):
        read_product(product(names=PARAMETERS).drop_vars(["nnse", "trace_iteration"]), TABLES)
    with pytest.raises(InputError, match="loss of the merged product has dimensions"):
        read_product(product(names=PARAMETERS).assign(loss=("cell", np.zeros(3))), TABLES)
    with pytest.raises(InputError, match=r"cell FI-Hyy: simulated gpp has shape \(4, 731\), not \(5, 731\)"):
        render(tmp_path, product(), [series("FI-Hyy", simulated={"gpp": np.zeros((4, DAYS))})])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_streams_are_found_by_name():
    merged = product(names=PARAMETERS)
    shuffled = merged.isel(stream=[2, 0, 3, 1], parameter=slice(None, None, -1)).transpose()
    np.testing.assert_array_equal(read_product(shuffled, TABLES).nnse, read_product(merged, TABLES).nnse)
    np.testing.assert_array_equal(read_product(shuffled, TABLES).parameters, read_product(merged, TABLES).parameters)


def test_eleven_towers_of_nine_years_stay_small(tmp_path):
    cells = tuple(f"XX-T{index:02d}" for index in range(11))
    merged = product(np.zeros((11, MEMBERS)), cells, PARAMETERS)
    path = write_report(contents(merged, (series(cell, 3287) for cell in cells)), tmp_path)
    assert 1e6 < path.stat().st_size < 5e6


def chromium(tmp_path, path, *options):
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if binary is None:
        pytest.skip("no chromium on the path")
    switches = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    switches += " disable-component-update disable-sync enable-logging=stderr"
    command = [
        binary,
        *(f"--{switch}" for switch in switches.split()),
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    return subprocess.run(
        [*command, *options, path], capture_output=True, text=True, timeout=120, check=True, encoding="utf-8"
    )


def test_page_in_a_browser(tmp_path):
    status = np.zeros((3, MEMBERS), int)
    status[0, 1] = STATUS["diverged"]
    truth = {"FI-Hyy": dict.fromkeys(FEW, 0.55)}
    path = write_report(contents(product(status), map(series, CELLS), truth=truth), tmp_path)
    broken = tmp_path / "broken.html"
    broken.write_text("<script>undefined_name()</script>")
    # The console is really read: a page with an error shows one.
    assert "CONSOLE" in chromium(tmp_path, broken.as_uri(), "--dump-dom").stderr
    # Links to a folded cell unfold it.
    shown = chromium(tmp_path, f"{path.as_uri()}#cell-2", "--dump-dom")
    assert "CONSOLE" not in shown.stderr
    for index, cell in enumerate(CELLS):
        opened = ' open=""' if index != 1 else ""
        assert f'<details class="cell" id="cell-{index}"{opened}>' in shown.stdout
        assert f"<h2>{cell}</h2>" in shown.stdout
    picture = tmp_path / "page.png"
    drawn = chromium(tmp_path, path.as_uri(), f"--screenshot={picture}", "--window-size=1400,3000")
    assert "CONSOLE" not in drawn.stderr
    assert picture.stat().st_size > 50_000


def test_towers_that_are_nowhere_have_no_map(tmp_path):
    made = contents(product(), [series(cell) for cell in CELLS])
    nowhere = [replace(one, longitude=np.full(len(one.names), np.nan)) for one in made.sets]
    page = Page(write_report(replace(made, sets=nowhere), tmp_path / "report"))
    assert 'id="map-root"' not in page.source
    assert "there are no maps: give LON in the tower files" in page.text
    assert "Scores" in page.text


def test_what_stands_at_a_wall_is_said_in_words(tmp_path):
    root, soil = TABLES.parameter("turnover_root"), TABLES.pools[TABLES.pool_names.index("som")]
    walls = Walls(
        lanes=14,
        cells=3,
        parameters=(AtBounds(root, 0, 14, 3), AtBounds(TABLES.parameter("lcma"), 0, 0, 0)),
        pools=(AtBounds(soil, 0, 5, 1),),
        clamped=(Clamped(soil, 2, 2, 512.0),),
        gaps=np.array([0.0, 0.0, 0.0, 0.01, 0.6]),
        borrowed=2,
    )
    made = replace(contents(product(), [series(cell) for cell in CELLS]), walls=walls)
    page = Page(write_report(made, tmp_path / "report"))
    words = " ".join(page.text.split())
    assert "50.0 % stand within 1 % of a bound" in words
    assert "turnover_root" in words
    assert "3 / 3" in words
    assert "som, at the start" in words
    assert "At no bound anywhere: lcma" in words
    assert "2 of the 14 lanes that count are no independent draws" in words
    assert "lanes with days at the ceiling" in words
    rows = (tmp_path / "report/data/at_bounds.csv").read_text().splitlines()
    assert rows[1].startswith("parameter,turnover_root,")
