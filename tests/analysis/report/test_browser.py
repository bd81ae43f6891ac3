"""The report in a real browser: maps that draw, answer to pointer and keyboard, and print; no error, no request."""

import dataclasses

import numpy as np
import pytest

from phloem.analysis.report.page import write_report
from phloem.analysis.report_data.cell_sets import quantities
from phloem.io.merge.member_statistics import SCREENING_RCV
from tests.support.analysis.browsing import Opened, numbers
from tests.support.analysis.report_samples import (
    MEMBERS,
    attribution,
    benchmark,
    forward_runs,
    grid_contents,
)
from tests.support.kernels.dalec_names import TOWERS

QUANTITIES = {one.key: one for one in quantities(TOWERS)}


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    cells = grid_contents().sets[0]
    folder = tmp_path_factory.mktemp("made") / "benchmark"
    return grid_contents(
        sets=[cells],
        runs=forward_runs(cells, ("baseline", "growth-curve")),
        attribution={"baseline": (folder.parent, attribution())},
        benchmark={"baseline": (folder, benchmark(folder, cells))},
    )


@pytest.fixture(scope="module")
def written(contents, tmp_path_factory):
    return write_report(contents, tmp_path_factory.mktemp("report"))


@pytest.fixture
def opened(browser, written):
    page = Opened(browser, written)
    yield page
    assert page.troubles == []
    page.page.close()


def test_hovering_tells_value_members_and_spread(opened, contents):
    cells = contents.sets[0]
    for key in ("derived_turnover_wood", "canopy_efficiency", "turnover_som"):
        spread = cells.spread(QUANTITIES[key])
        opened.choose(f"q:{key}", "median")
        for cell in (5, 150, 287):
            assert cells.names[cell] in opened.hover(cell)
            text = opened.tooltip("rCV")
            told = numbers(text.split("° E ")[1].split(" members ")[0].removeprefix(key))
            assert told[0] == pytest.approx(spread.median[cell], rel=2e-3)
            members = numbers(text.split(" members ")[1].split(" rCV ")[0].replace("failed", ""))
            known = spread.members[cell][np.isfinite(spread.members[cell])]
            np.testing.assert_allclose(members, known, rtol=2e-3)
            assert numbers(text.split(" rCV ")[1])[0] == pytest.approx(spread.rcv[cell], abs=6e-4)
            assert ("they disagree" in text) == (spread.rcv[cell] > SCREENING_RCV)


def test_members_that_failed_are_named(opened, contents):
    cell = 2
    assert contents.sets[0].status[cell, 0] == 2
    opened.choose("q:f_auto", "median")
    opened.hover(cell)
    assert opened.tooltip("rCV").split(" members ")[1].startswith("failed · ")


def test_choosing_changes_the_picture(opened, contents):
    cells = contents.sets[0]
    seen = {}
    for quantity, layer in (
        ("q:f_root", "median"), ("q:f_root", "rcv"), ("q:f_root", "range"), ("q:lcma", "median"), ("c:loss", None),
        ("c:nnse_gpp_0", None), ("c:status", None), ("c:biomass_error", None), ("c:benchmark_biomass", None),
    ):  # fmt: skip
        opened.choose(quantity, layer)
        script = "() => document.getElementById('map-stage').maps.state.shown[0].base.toDataURL()"
        seen[quantity, layer] = opened.page.evaluate(script)
    assert len(set(seen.values())) == len(seen)
    opened.choose("c:status")
    green, blue, orange = (0, 158, 115), (86, 180, 233), (230, 159, 0)
    for cell, colour in ((5, green), (2, blue), (3, orange)):
        assert cells.cell_status[cell] == (green, blue, orange).index(colour)
        assert opened.colour(cell) == pytest.approx(colour, abs=1)
    assert "too few calibrated" in opened.hover(3)
    legend = opened.page.inner_text("#map-legend")
    assert f"all calibrated ({(cells.cell_status == 0).sum()})" in legend
    assert opened.page.is_disabled("#map-layer")


def test_the_colours_are_those_of_the_values(opened, contents):
    spread = contents.sets[0].spread(QUANTITIES["f_root"])
    opened.choose("q:f_root", "median")
    known = np.flatnonzero(np.isfinite(spread.median))
    least, greatest = known[spread.median[known].argmin()], known[spread.median[known].argmax()]
    assert opened.colour(int(least)) == pytest.approx((68, 1, 84), abs=2)
    assert opened.colour(int(greatest)) == pytest.approx((253, 231, 37), abs=2)
    ends = np.percentile(spread.median[known], [2, 98])
    scale = opened.page.evaluate("document.getElementById('map-stage').maps.state.scales.own")
    assert [scale["low"], scale["high"]] == pytest.approx(ends.tolist(), rel=1e-3)
    opened.page.uncheck("#map-robust")
    opened.page.wait_for_function("() => !document.getElementById('map-stage').maps.state.scales.own.above")
    assert not scale["log"]
    opened.page.check("#map-log")
    opened.page.wait_for_function("() => document.getElementById('map-stage').maps.state.scales.own.log")
    assert "logarithmic" in opened.page.inner_text("#map-legend")


def test_screening_greys_the_cells_whose_members_disagree(opened, contents):
    key = next(
        one for one in QUANTITIES
        if 20 < (contents.sets[0].spread(QUANTITIES[one]).rcv > SCREENING_RCV).sum() < 200
    )  # fmt: skip
    spread = contents.sets[0].spread(QUANTITIES[key])
    opened.choose(f"q:{key}", "screened")
    state = opened.page.evaluate("Array.from(document.getElementById('map-stage').maps.state.fields[0].state)")
    wanted = np.where(np.isnan(spread.rcv), 0, np.where(spread.rcv <= SCREENING_RCV, 1, 2))
    np.testing.assert_array_equal(state, wanted)
    grey = int(np.flatnonzero(wanted == 2)[0])
    assert opened.colour(grey) == pytest.approx((0xD3, 0xD3, 0xCF), abs=1)
    assert "members disagree" in opened.hover(grey)
    legend = opened.page.inner_text("#map-legend")
    assert f"{(wanted == 1).sum()} of 300 cells have a value" in legend
    assert "screened out" in legend


def test_a_pinned_cell_shows_all_that_is_known(opened, contents):
    cells, runs = contents.sets[0], contents.runs
    text = opened.pin(150, cells.names[150])
    assert "status all calibrated" in text
    assert f"NNSE of GPP {cells.middle_score('gpp', 0)[150]:.3f} {cells.middle_score('gpp', 1)[150]:.3f}" in text
    assert "CCI biomass: simulated less reference" in text
    page = opened.page
    rows = page.locator("#cell-panel .strips tbody tr")
    assert rows.count() == len(QUANTITIES)
    assert page.locator("#cell-panel .strips circle").count() == MEMBERS * len(QUANTITIES)
    spread = cells.spread(QUANTITIES["f_auto"])
    label = (
        page.locator("#cell-panel .strip", has_text="member 0")
        .nth(list(QUANTITIES).index("f_auto"))
        .get_attribute("aria-label")
    )
    np.testing.assert_allclose(numbers(label)[1::2], spread.members[150], rtol=2e-3)
    low, high = QUANTITIES["f_auto"].low, QUANTITIES["f_auto"].high
    strip = page.locator("#cell-panel .strip").nth(list(QUANTITIES).index("f_auto"))
    x = [float(one.get_attribute("cx")) for one in strip.locator("circle").all()]
    shares = np.log(spread.members[150] / low) / np.log(high / low)
    np.testing.assert_allclose(x, 6 + 138 * shares, atol=0.11)
    # One line a member, and the growth curve dashed: it ends where the target does.
    lines = page.locator("#cell-panel .growth path[fill=none]")
    assert lines.count() == MEMBERS + 1
    ends = [float(one.get_attribute("d").split(" ")[-1]) for one in lines.all()]
    target = float(runs.target[150, -1]) / 50
    top = page.evaluate("1") and 172 - ends[-1]
    simulated = runs.trajectories("baseline", np.array([150]), np.array([100]))[0, :, 0]
    np.testing.assert_allclose((172 - np.array(ends[:-1])) / top, simulated / target, rtol=0.01)
    page.click("#cell-panel .close")
    page.wait_for_selector("#cell-panel:not([data-cell])")
    assert "Point at a cell" in page.inner_text("#cell-panel")


def test_the_keyboard_does_it_all(opened, contents):
    cells = contents.sets[0]
    page = opened.page
    page.focus("#map-stage")
    page.keyboard.press("ArrowRight")
    first = page.inner_text("#map-tooltip").split("\n")[0]
    start = list(cells.names).index(first)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    there = page.inner_text("#map-tooltip").split("\n")[0]
    end = list(cells.names).index(there)
    assert cells.longitude[end] > cells.longitude[start]
    assert cells.latitude[end] > cells.latitude[start]
    page.keyboard.press("Enter")
    page.wait_for_selector(f'#cell-panel[data-cell="{there}"]')
    page.wait_for_function("w => document.getElementById('map-spoken').textContent.includes(w)", arg=there)
    scale = "document.getElementById('map-stage').maps.view.scale"
    whole = page.evaluate(scale)
    page.keyboard.press("+")
    assert page.evaluate(scale) == pytest.approx(1.6 * whole)
    before = page.evaluate("document.getElementById('map-stage').maps.view.longitude")
    page.keyboard.press("Shift+ArrowRight")
    assert page.evaluate("document.getElementById('map-stage').maps.view.longitude") > before
    page.keyboard.press("0")
    assert page.evaluate(scale) == pytest.approx(whole)
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.wait_for_selector("#cell-panel:not([data-cell])")


def test_wheel_and_drag_move_the_map_and_the_cells_stay_under_the_pointer(opened, contents):
    page = opened.page
    name = contents.sets[0].names[150]
    x, y = opened.where(150)
    page.mouse.move(x, y)
    for _ in range(4):
        page.mouse.wheel(0, -120)
    page.wait_for_function("() => document.getElementById('map-stage').maps.zoomed")
    # A browser rounds the mouse to whole pixels; what it is off the cell by then grows with the zoom, 6.5 here.
    near = opened.where(150)
    assert near == pytest.approx([x, y], abs=0.5 * 6.5)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y + 25, steps=4)
    page.mouse.up()
    assert opened.where(150) == pytest.approx([near[0] + 40, near[1] + 25], abs=1.5)
    assert "data-cell" not in page.locator("#cell-panel").evaluate("e => e.outerHTML.split('>')[0]")
    assert name in opened.hover(150)
    page.click("text=whole map")
    assert opened.where(150) == pytest.approx([x, y], abs=1)


def test_the_table_finds_and_sorts(opened, contents):
    cells = contents.sets[0]
    page = opened.page
    body = page.locator("#cell-table tbody tr")
    assert body.count() == 25
    page.click("#cell-table .turns button:last-child")
    assert page.inner_text("#cell-found") == "26 to 50 of 300 cells"
    page.fill("#cell-search", cells.names[77].lower())
    assert body.count() == 1
    assert f"{cells.middle_score('et', 0)[77]:.3f}" in body.first.inner_text()
    page.fill("#cell-search", "nowhere")
    assert page.inner_text("#cell-found") == "no cell of that name"
    page.fill("#cell-search", f"{cells.latitude[9]}, {cells.longitude[9] + 0.1}")
    assert cells.names[9] in body.first.inner_text()
    page.fill("#cell-search", "")
    page.click("#cell-table thead button:text-is('least loss')")
    losses = np.sort(cells.least_loss)
    assert body.first.locator("td").nth(4).inner_text() == f"{losses[0]:.3f}".replace("-", "−")
    assert page.locator("#cell-table th[aria-sort=ascending]").inner_text().startswith("least loss")
    page.click("#cell-table thead button:text-is('least loss')")
    assert body.first.locator("td").nth(4).inner_text() == f"{np.nanmax(losses):.3f}".replace("-", "−")
    name = body.first.locator("th").inner_text()
    body.first.locator("button").click()
    page.wait_for_selector(f'#cell-panel[data-cell="{name}"]')


def test_print_shows_still_maps_and_opens_everything(browser, written):
    opened = Opened(browser, written)
    page = opened.page
    still = page.locator(".stills img").first
    assert not still.is_visible()
    page.emulate_media(media="print")
    page.wait_for_function("() => [...document.querySelectorAll('details')].every(one => one.open)")
    assert still.is_visible()
    assert not page.locator("#map-stage").is_visible()
    for image in page.locator(".stills img").all():
        assert image.evaluate("e => e.complete && e.naturalWidth > 300")
        assert len(image.get_attribute("alt")) > 30
    printed = page.pdf(format="A4")
    assert printed[:4] == b"%PDF"
    assert printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") >= 5
    assert len(printed) > 200_000  # the pictures are in it
    wide = page.evaluate(
        "[...document.querySelectorAll('table')].filter(t => t.offsetParent && t.scrollWidth > 1300).length"
    )
    assert wide == 0
    page.emulate_media(media="screen")
    page.wait_for_function("() => !document.querySelector('details.stills').open")
    assert opened.troubles == []
    page.close()


@pytest.mark.parametrize("width", [360, 768, 1000, 1920])
def test_no_width_overflows(browser, written, width):
    opened = Opened(browser, written, width)
    page = opened.page
    opened.pin(150, page.evaluate("document.getElementById('map-stage').maps.geography.names[150]"))
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    opened.hover(299)
    box = page.locator("#map-tooltip").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    canvas = page.locator("canvas.base").bounding_box()
    assert canvas["x"] + canvas["width"] <= width
    assert opened.troubles == []
    page.close()


NAMELESS = """() => [...document.querySelectorAll("img, svg[role=img], select, input, button, [role=application]")]
    .filter(e => !(e.getAttribute("alt") || e.getAttribute("aria-label") || e.textContent.trim() || e.closest("label")))
    .map(e => e.outerHTML.slice(0, 120))"""

PALE = r"""() => {
    const light = colour => colour.map(v => v / 255)
        .map(v => (v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4))
        .reduce((sum, v, n) => sum + v * [.2126, .7152, .0722][n], 0);
    const parse = text => text.match(/[\d.]+/g).map(Number);
    const contrast = e => {
        const paper = one => parse(getComputedStyle(one).backgroundColor);
        let ground = e;
        while (ground && (paper(ground)[3] ?? 1) === 0) ground = ground.parentElement;
        const ink = light(parse(getComputedStyle(e).color).slice(0, 3));
        const pair = [ground ? light(paper(ground).slice(0, 3)) : 1, ink];
        return (Math.max(...pair) + .05) / (Math.min(...pair) + .05);
    };
    const says = e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    return [...document.querySelectorAll("main *")]
        .filter(e => e.offsetParent && says(e) && !e.closest("svg") && !e.disabled && !(contrast(e) >= 4.5))
        .map(e => [contrast(e), e.outerHTML.slice(0, 100)]);
}"""


def test_what_can_be_seen_can_be_told(opened):
    page = opened.page
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate("document.querySelectorAll('h1').length") == 1
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.evaluate(PALE) == []
    page.evaluate("document.querySelector('h2').style.color = '#999'")
    assert len(page.evaluate(PALE)) == 1, "the test sees what is pale"


def test_a_browser_that_cannot_decompress_shows_pictures_and_says_so(browser, written):
    page = browser.new_page()
    troubles = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.add_init_script("delete window.DecompressionStream;")
    page.goto(written.as_uri())
    notices = page.locator("p.notice", has_text="a script that this browser cannot run")
    assert notices.count() == 2
    assert all(one.is_visible() for one in notices.all())
    page.locator("details.stills > summary").click()
    assert page.locator("details.stills img").first.is_visible()
    assert troubles == []
    page.close()


def test_pages_of_equal_contents_are_equal(contents, written, tmp_path):
    again = write_report(dataclasses.replace(contents), tmp_path)
    assert again.read_bytes() == written.read_bytes()
