"""Attribution of targets whose drivers are known, and what is said where there can be none."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

from phloem.analysis.attribution.all_targets import Attribution, attribute
from phloem.analysis.attribution.choose_cells import choose_cells, unroll
from phloem.analysis.attribution.dependence_curves import trend
from phloem.analysis.attribution.inputs import Predictor, Target
from phloem.analysis.attribution.member_fits import fit_all, member_band
from phloem.analysis.attribution.result_files import plain, write_attribution
from phloem.analysis.parameters.screening import identifiability
from phloem.analysis.parameters.strategy_axes import strategy_axes
from phloem.analysis.trees import boosting
from phloem.analysis.trees.boosting import (
    Sample,
    blocked_folds,
    blocks_of,
    cross_validate,
    explain,
    fit,
    random_folds,
)
from phloem.analysis.trees.settings import Settings
from phloem.errors import InputError
from phloem.kernels.calibrations.dalec_daily.derived_quantities import STRATEGY
from phloem.names import PERIOD
from tests.support.analysis.attribution_worlds import QUICK, THRESHOLD, World, make_world
from tests.support.kernels.dalec_names import GRID

FULL = Settings(estimator="histogram", n_estimators=250, bootstrap=60, workers=1)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(seed=3)


@pytest.fixture(scope="module")
def found(world: World) -> Attribution:
    return attribute([world.target()], world.predictors, world.latitude, world.longitude, FULL)


def run(world: World, settings: Settings = QUICK, **changes: Any) -> dict[str, Any]:
    given = {"targets": [world.target()], "predictors": world.predictors} | changes
    found = attribute(given["targets"], given["predictors"], world.latitude, world.longitude, settings)
    return dict(found.document)


def test_drivers_are_found_in_order_with_their_directions(found: Attribution) -> None:
    target = found.document["targets"][0]
    rows = target["importance"]
    assert [row["predictor"] for row in rows[:3]] == ["falling", "hinge", "bowl"]
    assert {row["predictor"]: row["direction"] for row in rows[:2]} == {"falling": "-", "hinge": "+"}
    assert {row["predictor"]: row["direction"] for row in rows}["bowl"] == "mixed"
    assert sum(row["share"] for row in rows) == pytest.approx(100)
    assert target["random"]["r2"] > 0.9


def test_noise_has_no_share_of_the_signal(found: Attribution) -> None:
    target = found.document["targets"][0]
    signal = {row["predictor"]: row["signal_share"] for row in target["importance"] if row["signal"]}
    assert set(signal) == {"falling", "hinge", "bowl"}
    assert sum(signal.values()) == pytest.approx(100)
    assert all(row["signal_share"] == 0 for row in target["importance"] if row["predictor"][:5] in ("smoot", "rough"))
    groups = {row["group"]: row for row in target["groups"]}
    assert groups["vegetation"]["signal_share"] == 0 < groups["vegetation"]["share"]
    assert sum(row["share"] for row in groups.values()) == pytest.approx(100)
    assert groups["soil"]["share"] == pytest.approx(target["importance"][2]["share"]), "bowl is the only soil"


def test_the_threshold_is_found_inside_its_interval(found: Attribution) -> None:
    curves = {row["predictor"]: row for row in found.document["targets"][0]["dependence"]}
    at = curves["hinge"]["breakpoint"]
    assert at["x"] == pytest.approx(THRESHOLD, abs=0.25)
    assert at["low"] <= THRESHOLD <= at["high"]
    assert at["high"] - at["low"] < 0.25 * np.ptp(curves["hinge"]["x"]), "an interval that tells something"
    straight = curves["falling"]["breakpoint"]
    assert straight["high"] - straight["low"] > 1.5 * (at["high"] - at["low"]), "a line has no threshold"


def test_bands_over_members_cover_what_a_fit_without_noise_says(world: World, found: Attribution) -> None:
    """Importance and dependence of the noise-free truth, the mean of four fits that differ in their draws alone."""
    target = found.document["targets"][0]
    names = [predictor.name for predictor in world.predictors]
    x = np.stack([predictor.values for predictor in world.predictors], axis=1)
    sample = Sample(x, world.truth, np.ones(len(x)))
    phi = np.mean([explain(fit(sample, FULL, "histogram", seed), x)[0] for seed in range(900, 904)], axis=0)
    effects = {name: np.abs(phi[:, n]).mean() for n, name in enumerate(names)}
    signal = [row for row in target["importance"] if row["signal"]]
    total = sum(effects[row["predictor"]] for row in signal)
    covered = [row["signal_low"] <= 100 * effects[row["predictor"]] / total <= row["signal_high"] for row in signal]
    assert sum(covered) >= 2, "five members: their range holds the truth in 15 of 16 cases, were they independent"
    for curve in target["dependence"][:3]:
        grid, column = np.array(curve["x"]), names.index(curve["predictor"])
        truth = trend(x[:, column], phi[:, column], grid, FULL.lowess_fraction)
        low, high = np.percentile(x[:, column], [2.5, 97.5])
        inside = (grid >= low) & (grid <= high)
        # The bands are narrow: 1 % of the curve's height counts as within.
        slack = 0.01 * np.ptp(truth)
        covers = (truth >= np.array(curve["low"]) - slack) & (truth <= np.array(curve["high"]) + slack)
        assert covers[inside].mean() > 0.7, curve["predictor"]


def test_bands_are_the_members_range_about_the_final_value() -> None:
    members = np.array([[10.0, 5.0], [12.0, 5.0], [11.0, 8.0]])
    low, high = member_band(np.array([20.0, 5.5]), members) or (None, None)
    np.testing.assert_allclose(low, [19, 4.5])
    np.testing.assert_allclose(high, [21, 7.5])
    assert member_band(np.zeros(2), np.empty((0, 2))) is None


def test_single_members_are_less_certain_than_their_median(world: World) -> None:
    """What moves the bands: a fit to one member gives noise more, so its drivers' shares are lower in the mean."""
    noisy = make_world(seed=3, restart=0.9)
    cells = choose_cells(noisy.target(), noisy.predictors, replace(QUICK, convergence="none"))
    sample = Sample(np.stack([p.values for p in noisy.predictors], axis=1), cells.values, cells.weights)
    fits = fit_all(sample, cells, replace(FULL, convergence="none"), "histogram", 0)
    assert fits.member_shares[:, :3].sum(axis=1).max() < fits.shares[:3].sum()


def test_blocked_scores_fall_below_random_ones_on_smooth_maps() -> None:
    """A smooth part that no predictor explains: neighbours in the fitted folds tell of it, far blocks do not."""
    for seed in range(3):
        world = make_world(seed, unexplained=1.0)
        x = np.stack([predictor.values for predictor in world.predictors], axis=1)
        sample = Sample(x, world.truth, np.ones(len(x)))
        rng = np.random.default_rng(seed)
        blocks = blocks_of(world.latitude, world.longitude, 5.0)
        random = cross_validate(sample, random_folds(len(x), 5, rng), QUICK, "histogram", 0)
        blocked = cross_validate(sample, blocked_folds(blocks, 5, rng), QUICK, "histogram", 0)
        assert blocked.r2 < random.r2 - 0.1


def test_folds() -> None:
    rng = np.random.default_rng(0)
    fold = random_folds(103, 5, rng)
    assert sorted(np.bincount(fold)) == [20, 20, 21, 21, 21]
    world = make_world(0)
    blocks = blocks_of(world.latitude, world.longitude, 5.0)
    dealt = blocked_folds(blocks, 5, rng)
    assert all(len(set(dealt[blocks == block])) == 1 for block in set(blocks.tolist())), "a block is in one fold"
    counts = np.bincount(dealt)
    assert len(counts) == 5
    assert counts.max() - counts.min() <= np.bincount(blocks).max()
    edge = blocks_of(np.array([50.0, 50.0, 50.0]), np.array([179.9, -179.9, 180.1]), 5.0)
    assert edge[1] == edge[2] != edge[0], "longitudes of either convention; no block across the date line"


def test_r2_is_of_weighted_cells_and_nan_where_they_are_constant() -> None:
    rng = np.random.default_rng(3)
    y, weights = rng.normal(size=50), rng.uniform(0.1, 2.0, 50)
    predicted = y + 0.3 * rng.normal(size=50)
    spread = np.sum(weights * (y - np.average(y, weights=weights)) ** 2)
    assert boosting.r2_score(y, predicted, weights) == 1 - np.sum(weights * (y - predicted) ** 2) / spread
    assert np.isnan(boosting.r2_score(np.full(3, 0.1), np.arange(3.0), np.ones(3))), "whose mean is not quite 0.1"


def test_held_out_cells_are_not_seen() -> None:
    """A target that is pure noise: any leak would show as an R2 above 0."""
    rng = np.random.default_rng(1)
    sample = Sample(rng.normal(size=(400, 4)), rng.normal(size=400), np.ones(400))
    found = cross_validate(sample, random_folds(400, 5, rng), QUICK, "histogram", 0)
    assert found.r2 < 0.02
    spread = np.sum((sample.y - sample.y.mean()) ** 2)
    assert found.r2 == pytest.approx(1 - np.sum((sample.y - found.predicted) ** 2) / spread)
    assert found.to_json()["r2_sd"] == pytest.approx(np.std(found.r2_folds, ddof=1))


@pytest.mark.parametrize("estimator", ["exact", "histogram"])
@pytest.mark.parametrize("interventional", [False, True])
def test_shap_values_add_up_to_the_prediction(estimator: str, interventional: bool) -> None:
    rng = np.random.default_rng(2)
    x = boosting.in_single_precision(rng.normal(size=(300, 5)))
    sample = Sample(x, x[:, 0] * x[:, 1] + np.abs(x[:, 2]), rng.uniform(0.2, 1.0, 300))
    model = fit(sample, replace(QUICK, n_estimators=80), estimator, 0)
    phi, expected = explain(model, x, x[:50] if interventional else None)
    np.testing.assert_allclose(phi.sum(axis=1) + expected, model.predict(x), atol=1e-6)


def test_bins_keep_what_the_histogram_estimator_sees() -> None:
    rng = np.random.default_rng(3)
    x = np.stack([rng.normal(size=2000), rng.lognormal(size=2000), rng.integers(0, 5, 2000)], axis=1)
    binned = boosting.in_bins(x)
    assert [np.unique(column).size for column in binned.T] == [255, 255, 5]
    np.testing.assert_array_equal(binned[:, 2], x[:, 2])
    for column in range(2):
        assert (np.diff(binned[np.argsort(x[:, column]), column]) >= 0).all(), "the order is kept"
    sample = Sample(x, x[:, 0] + np.sqrt(x[:, 1]), np.ones(2000))
    plainly = fit(sample, QUICK, "histogram", 0).predict(x)
    coarsely = fit(Sample(binned, sample.y, sample.weights), QUICK, "histogram", 0).predict(binned)
    assert np.corrcoef(plainly, coarsely)[0, 1] > 0.999


def test_auto_is_exact_for_few_cells() -> None:
    assert boosting.choose_estimator(Settings(), 3000) == "exact"
    assert boosting.choose_estimator(Settings(), 3001) == "histogram"
    assert boosting.choose_estimator(Settings(estimator="exact"), 10**6) == "exact"


def without_counts(document: dict[str, Any]) -> str:
    target = {key: value for key, value in document["targets"][0].items() if not key.startswith("cells_")}
    return json.dumps(plain(target))


@pytest.mark.parametrize("convergence", ["mask", "weight"])
def test_unconverged_cells_do_not_move_the_result(world: World, convergence: str) -> None:
    """One cell in five with garbage: what comes out is bit for bit what comes out where they have no result."""
    rng = np.random.default_rng(8)
    bad = rng.random(len(world.truth)) < 0.2
    garbage = np.where(bad[:, None], rng.lognormal(3.0, 1.5, world.members.shape), world.members)
    absent = np.where(bad[:, None], np.nan, world.members)
    settings = replace(QUICK, convergence=convergence)
    _, rcv = boosting_agreement(garbage)
    assert (rcv[bad] > 0.3).mean() > 0.9, "the test would be idle"
    bad &= rcv > 0.3
    garbage = np.where(bad[:, None], garbage, world.members)
    absent = np.where(bad[:, None], np.nan, world.members)
    injected = run(world, settings, targets=[replace(world.target(), members=garbage)])
    empty = run(world, settings, targets=[replace(world.target(), members=absent)])
    assert injected["targets"][0]["cells_unconverged"] == bad.sum() == empty["targets"][0]["cells_without_result"]
    assert without_counts(injected) == without_counts(empty)
    taken = run(world, replace(settings, convergence="none"), targets=[replace(world.target(), members=garbage)])
    clean = run(world, replace(settings, convergence="none"))
    assert taken["targets"][0]["random"]["r2"] < 0.5 < injected["targets"][0]["random"]["r2"]
    assert clean["targets"][0]["random"]["r2"] == pytest.approx(injected["targets"][0]["random"]["r2"], abs=0.03)


def boosting_agreement(members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from phloem.io.merge.member_statistics import median_and_rcv

    return median_and_rcv(members, np.isfinite(members))


def test_weights_are_the_biweight_of_the_members_disagreement(world: World) -> None:
    members = np.tile([10.0, 10.0, 10.0, 10.0, 10.0], (len(world.truth), 1)) + world.truth[:, None]
    members[0] = [8.0, 9.0, 10.0, 11.0, 12.0]
    cells = choose_cells(Target("t", "1", "t", members), world.predictors, replace(QUICK, convergence="weight"))
    assert cells.weights[0] == pytest.approx((1 - (1.4826 * 0.1 / 0.3) ** 2) ** 2)
    np.testing.assert_allclose(cells.weights[1:], 1.0)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda m: np.full_like(m, np.nan), ["0 of 1600 cells", "1600 without a result", "phloem retry"]),
        (lambda m: m[:, :2], ["fewer than 3 members: 1600 of them", 'convergence = "none"']),
        (lambda m: m * np.array([1, 2, 5, 10, 30]), ["1600 without agreement", "rCV above 0.3", "more members"]),
        (lambda m: np.full_like(m, 2.5), ["same value, 2.5, at all 1600 cells"]),
        (
            lambda m: np.where(np.arange(1600)[:, None] < 20, m, np.nan),
            ["20 of 1600", "25 are needed, 5 for each of 5"],
        ),
    ],
)
def test_targets_that_cannot_be_modelled_are_refused_in_words(
    world: World, spoil: Callable[[np.ndarray], np.ndarray], words: list[str]
) -> None:
    spoiled = replace(world.target("bad"), members=spoil(world.members))
    document = run(world, replace(QUICK, n_estimators=5), targets=[spoiled, world.target()])
    refused = document["targets"][0]["refused"]
    assert refused
    assert [part for part in words if part not in refused] == []
    assert document["targets"][1]["refused"] is None, "the others go on"


def test_one_cell() -> None:
    world = make_world(0, side=1)
    predictors = [Predictor("mat", "climate", "degC", "temperature", np.array([3.0]))]
    refused = run(world, predictors=predictors)["targets"][0]["refused"]
    assert "1 cell, and 25 are needed" in refused
    predictors = [Predictor("mat", "climate", "degC", "temperature", np.array([3.0, 4.0]))]
    two = replace(
        world, latitude=np.array([50.0, 51.0]), longitude=np.zeros(2), members=np.full((2, 5), [[1.0], [2.0]])
    )
    assert "2 of 2 cells can be used, and 25 are needed" in run(two, predictors=predictors)["targets"][0]["refused"]


def test_missing_and_constant_predictors_are_left_out_with_a_finding(world: World) -> None:
    size = len(world.truth)
    holes = np.where(np.arange(size) < 100, np.nan, world.predictors[3].values)
    extra = [
        Predictor("flat", "soil", "1", "flat", np.full(size, 7.0)),
        Predictor("gone", "soil", "1", "gone", np.full(size, np.nan)),
        Predictor("holes", "soil", "1", "holes", holes),
    ]
    document = run(world, predictors=[*world.predictors[:3], *extra])
    findings = {row["name"]: row["finding"] for row in document["predictors"]}
    assert findings["flat"] == "the same, 7, at all 1600 cells that have it: left out"
    assert findings["gone"] == "missing at all 1600 cells: left out"
    assert findings["holes"] == "" == findings["hinge"]
    target = document["targets"][0]
    assert {row["predictor"] for row in target["importance"]} == {"hinge", "falling", "bowl", "holes"}
    assert (target["cells_used"], target["cells_without_predictors"]) == (1500, 100)
    holes = replace(extra[2], values=np.where(np.arange(size) < 10, 1.0 + np.arange(size), np.nan))
    refused = run(world, predictors=[*world.predictors[:3], holes])["targets"][0]["refused"]
    assert "1590 without some predictor (most often holes, 1590)" in refused
    nothing = run(world, predictors=extra[:2])["targets"][0]
    assert nothing["refused"] == "no predictor can be used: all are constant or missing everywhere"


def test_blocked_validation_is_refused_where_there_are_too_few_blocks() -> None:
    world = make_world(0, side=8)
    target = run(world)["targets"][0]
    assert target["blocked"] is None
    assert "the cells lie in 1 block of 5 degrees, and 5 folds need as many" in target["blocked_refused"]
    assert target["random"] is not None


def test_results_do_not_depend_on_processes_or_company(world: World) -> None:
    other = replace(world.target("other"), members=world.members[::-1])
    targets = [world.target(), other]
    alone = run(world, targets=targets[1:])["targets"]
    one = run(world, targets=targets)["targets"]
    two = run(world, replace(QUICK, workers=2), targets=targets)["targets"]
    assert json.dumps(plain(one)) == json.dumps(plain(two))
    assert json.dumps(plain(alone[0])) == json.dumps(plain(one[1]))
    moved = run(world, replace(QUICK, seed=1), targets=targets[1:])["targets"]
    assert json.dumps(plain(moved)) != json.dumps(plain(alone)), "the seed does something"


def test_a_day_of_the_year_has_no_seam(world: World) -> None:
    """Days about New Year: the same model as of days in the middle of the year."""
    days = 10.0 * (world.members - 6.0)
    summer = Target("day", "d", "a day", np.mod(180.0 + days, PERIOD), PERIOD)
    winter = Target("day", "d", "a day", np.mod(days, PERIOD), PERIOD)
    assert np.ptp(winter.members) > 300, "some before, some after"
    a, b = (run(world, targets=[target])["targets"][0] for target in (summer, winter))
    assert a["random"]["r2"] == pytest.approx(b["random"]["r2"], abs=0.01)
    assert [row["predictor"] for row in a["importance"][:3]] == [row["predictor"] for row in b["importance"][:3]]
    unrolled = unroll(winter.members, PERIOD)
    assert np.ptp(unrolled) < 120
    np.testing.assert_allclose(np.mod(unrolled, PERIOD), winter.members, atol=1e-9)
    assert unroll(np.array([[365.0, 1.0, np.nan]]), PERIOD)[0, :2] == pytest.approx([-0.25, 1.0])


def test_logarithm(world: World) -> None:
    target = replace(world.target(), members=np.exp(world.members))
    settings = replace(QUICK, log=("rate",), convergence="none")
    logged = attribute([target], world.predictors, world.latitude, world.longitude, settings)
    plainly = run(world, replace(QUICK, convergence="none"))["targets"][0]
    assert logged.document["targets"][0]["scale"] == "log"
    assert logged.document["targets"][0]["random"]["r2"] == pytest.approx(plainly["random"]["r2"], abs=1e-6)
    negative = replace(target, members=world.members - 6.0)
    refused = run(world, settings, targets=[negative])["targets"][0]["refused"]
    assert "not above 0" in refused
    assert "leave it out of `log`" in refused


def test_what_predicts_nothing_has_no_signal(world: World) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(len(world.truth), 1)) + 0.05 * rng.normal(size=(len(world.truth), 5)) + 20.0
    target = run(world, targets=[replace(world.target(), members=noise)])["targets"][0]
    assert "explain nothing" in target["finding"]
    assert not any(row["signal"] for row in target["importance"])
    assert sum(row["signal_share"] for row in target["importance"]) == 0


def test_the_partition_adds_up_and_follows_the_drivers(found: Attribution) -> None:
    target = found.document["targets"][0]
    part = target["partition"]
    rows = {row["group"]: row for row in part["groups"]}
    assert sum(row["independent"] for row in rows.values()) == pytest.approx(part["total"])
    assert len(part["subsets"]) == 7
    assert part["score"] == "r2 of held-out blocks of cells"
    assert part["total"] == pytest.approx(target["blocked"]["r2"], abs=0.1)
    assert rows["climate"]["share"] > rows["soil"]["share"] > rows["vegetation"]["share"]
    assert rows["vegetation"]["share"] < 0.1, "maps that drive nothing; with random folds they would have 27 %"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"targets": []}, "no target"),
        ({"predictors": []}, "no predictor"),
        ({"settings": replace(QUICK, estimator="forest")}, "auto, exact, histogram"),
        ({"settings": replace(QUICK, convergence="hope")}, "mask, weight, none"),
        ({"settings": replace(QUICK, log=("rats",))}, "log names rats, which is no target; targets: rate"),
        ({"settings": replace(QUICK, folds=1)}, "folds must be 2 or more"),
        ({"latitude": np.zeros(3)}, "are not of the 3 cells"),
        ({"longitude": np.zeros(3)}, "the longitudes are not"),
    ],
)
def test_wrong_use_is_refused(world: World, change: dict[str, Any], words: str) -> None:
    given = {
        "targets": [world.target()], "predictors": world.predictors, "latitude": world.latitude,
        "longitude": world.longitude, "settings": QUICK,
    } | change  # fmt: skip
    with pytest.raises(InputError, match=words):
        attribute(**given)
    with pytest.raises(InputError, match="rate is there twice"):
        run(world, targets=[world.target(), world.target()])


def test_files(found: Attribution, world: World, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    parameters = rng.lognormal(0, 0.2, (len(world.truth), 5, 30)) * 0.1
    pca = strategy_axes(parameters, STRATEGY)
    whole = replace(found, identifiability=identifiability(parameters, GRID), pca=pca)
    folder = tmp_path / "campaign" / "attribution"
    assert write_attribution(folder, whole) == folder / "attribution.json"
    document = json.loads((folder / "attribution.json").read_text())
    assert document == plain(whole.to_json())
    assert "NaN" not in (folder / "attribution.json").read_text()
    names = sorted(path.name for path in folder.iterdir())
    assert names == [
        "attribution.json", "breakpoints.csv", "dependence.csv", "dependence_rate.png", "groups.csv",
        "identifiability.csv", "identifiability.png", "importance.csv", "importance.png", "partition.csv",
        "partition.png", "pca.csv", "pca.png", "pca_scores.csv", "scores.csv", "scores.png", "shap.nc",
    ]  # fmt: skip
    assert all((folder / name).stat().st_size > 8_000 for name in names if name.endswith("png"))
    lines = (folder / "importance.csv").read_text().splitlines()
    assert lines[0].startswith("target,predictor,group,share,low,high,signal")
    assert len(lines) == 1 + len(world.predictors)
    with netCDF4.Dataset(str(folder / "shap.nc")) as file:
        explained = found.explained["rate"]
        assert file["phi"].dimensions == ("target", "cell", "predictor")
        np.testing.assert_allclose(file["phi"][0], explained.phi, atol=1e-6)
        np.testing.assert_allclose(file["lat"][:], world.latitude[explained.cells])
        assert list(file["predictor"][:]) == [predictor.name for predictor in world.predictors]
        np.testing.assert_allclose(file["predictor_value"][:, 0], world.predictors[0].values[explained.cells])
    assert [path.name for path in folder.parent.iterdir()] == ["attribution"], "nothing is left beside it"


def test_a_write_that_fails_leaves_what_was_there(
    found: Attribution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "attribution"
    write_attribution(folder, found)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(document: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("phloem.analysis.attribution.result_files.draw_attribution", fail)
    with pytest.raises(OSError, match="No space"):
        write_attribution(folder, replace(found, document={**found.document, "seconds": 0.0}))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["attribution"]


def test_files_of_an_attribution_without_any_model(world: World, tmp_path: Path) -> None:
    gone = replace(world.target(), members=np.full((len(world.truth), 5), np.nan))
    nothing = attribute([gone], world.predictors, world.latitude, world.longitude, QUICK)
    few = np.full((3, 5, 30), 0.5)
    whole = replace(nothing, identifiability=identifiability(few, GRID), pca=strategy_axes(few, STRATEGY))
    write_attribution(tmp_path / "attribution", whole)
    document = json.loads((tmp_path / "attribution" / "attribution.json").read_text())
    assert document["targets"][0]["refused"].startswith("0 of 1600")
    assert "26 are needed" in document["pca"]["refused"]
    assert (tmp_path / "attribution" / "importance.csv").read_text().strip() == ""
