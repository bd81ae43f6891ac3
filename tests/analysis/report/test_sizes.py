"""The report in a real browser: the three experiments side by side, and sixty thousand cells."""

import numpy as np
import pytest

from phloem.analysis.report.page import Contents, write_report
from phloem.analysis.report_data.cell_sets import quantities
from tests.support.analysis.browsing import Opened, numbers
from tests.support.analysis.report_samples import MEMBERS, facts, forward_runs, grid_cells, grid_contents
from tests.support.kernels.dalec_names import TOWERS

QUANTITIES = {one.key: one for one in quantities(TOWERS)}
EXPERIMENTS = ("baseline", "single-year", "growth-curve")


def test_three_experiments_side_by_side(browser, tmp_path):
    sets = [grid_cells(12, 20, name, seed, every=2) for seed, name in enumerate(EXPERIMENTS)]
    made = Contents(
        title="three",
        facts=[facts(experiment=name) for name in EXPERIMENTS],
        sets=sets,
        runs=forward_runs(sets[0], EXPERIMENTS),
    )
    opened = Opened(browser, write_report(made, tmp_path))
    opened.choose("q:derived_npp_wood", "median")
    captions = [one.inner_text() for one in opened.page.locator("#map-stage figcaption").all()]
    assert captions == [*EXPERIMENTS, "single-year less baseline", "growth-curve less baseline"]
    spreads = [one.spread(QUANTITIES["derived_npp_wood"]).median for one in sets]
    opened.hover(31, panel=4)
    text = opened.tooltip("rCV")
    assert numbers(text.split("growth-curve less baseline")[1])[0] == pytest.approx(
        spreads[2][31] - spreads[0][31], abs=2e-3
    )
    assert "members, growth-curve" in text
    text = opened.pin(31, sets[0].names[31])
    assert opened.page.locator("#cell-panel .strips tbody tr").count() == 3 * 6
    assert opened.page.locator("#cell-panel .growth path[fill=none]").count() == 3 * MEMBERS + 1
    opened.choose("c:status")
    assert opened.page.locator("#map-stage figure:visible").count() == 3
    assert opened.troubles == []
    opened.page.close()


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """60,000 cells of half a degree with five members: the land of the Earth."""
    cells = grid_cells(240, 500, every=2)
    assert len(cells.names) == 60_000
    contents = grid_contents(sets=[cells], runs=forward_runs(cells, ("baseline", "growth-curve")))
    return cells, write_report(contents, tmp_path_factory.mktemp("large"))


def test_sixty_thousand_cells_answer(browser, large):
    cells, path = large
    assert path.stat().st_size < 30e6
    opened = Opened(browser, path)
    spread = cells.spread(QUANTITIES["derived_leaf_lifespan"])
    opened.choose("q:derived_leaf_lifespan", "median")
    for cell in (7, 30_000, 59_998):
        assert cells.names[cell] in opened.hover(cell)
        text = opened.tooltip("rCV")
        assert numbers(text.split("° E ")[1] if "° E " in text else text.split("° W ")[1])[1] == pytest.approx(
            spread.median[cell], rel=2e-3
        )
        members = numbers(text.split(" members ")[1].split(" rCV ")[0].replace("failed", ""))
        known = spread.members[cell][np.isfinite(spread.members[cell])]
        np.testing.assert_allclose(members, known, rtol=0.06)  # one of 254 steps, and two digits
    text = opened.pin(30_000, cells.names[30_000])
    assert opened.page.locator("#cell-panel .strips circle").count() == MEMBERS * len(QUANTITIES)
    opened.page.fill("#cell-search", cells.names[41_234])
    assert opened.page.locator("#cell-table tbody tr").count() == 1
    opened.choose("c:status")
    assert f"({(cells.cell_status == 0).sum():,})" in opened.page.inner_text("#map-legend")
    assert opened.troubles == []
    opened.page.close()
