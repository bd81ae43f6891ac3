"""The table of true traits: complete, inside the bounds wherever it is asked, and smooth; made-up and real land."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.errors import InputError
from phloem.jobs.config.globe_file import Globe, load_globe_file
from phloem.jobs.config.toml_file import TEMPLATES
from phloem.jobs.synthetic.globe.globe_land import PFTS, boxes, land
from phloem.jobs.synthetic.globe.globe_predictors import environment, predictors_of
from phloem.jobs.synthetic.globe.globe_traits import TRAITS, plant_shares, trait_parts, true_parameters
from phloem.jobs.synthetic.globe.smooth_fields import smooth_field, smooth_series
from phloem.kernels.models.dalec_monthly.parameters import PARAMETERS
from phloem.names import PERIOD, PREDICTORS

EXAMPLES = Path(__file__).parents[4] / "examples"


def test_table_has_every_parameter_in_the_order_of_the_model() -> None:
    assert tuple(TRAITS) == tuple(one.name for one in PARAMETERS)
    terms = environment({name: np.ones(1) for name in PREDICTORS})
    for trait in TRAITS.values():
        assert len(trait.types) == len(PFTS)
        assert {part for text in trait.effects for part in text.split("*")} <= set(terms)


@pytest.mark.parametrize("one", PARAMETERS, ids=lambda one: one.name)
def test_no_environment_takes_a_trait_out_of_its_bounds(one) -> None:
    """Terms lie between -1 and 1, so that a sum of effects is at most that of their sizes."""
    trait = TRAITS[one.name]
    most = sum(abs(effect) for effect in trait.effects.values())
    low, high = min(trait.types), max(trait.types)
    if trait.scale == "days":
        ends = low - most, high + most + 0.5 * PERIOD
    elif trait.scale == "ln_excess":
        ends = 1 + (low - 1) * np.exp(-most), 1 + (high - 1) * np.exp(most)
    else:
        ends = low * np.exp(-most), high * np.exp(most)
    assert one.lower < ends[0]
    assert ends[1] < one.upper


@given(st.integers(0, 2**32 - 1))
def test_parameters_of_any_predictors_are_inside_the_bounds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    wild = {name: rng.uniform(-50, 5000, 20) for name in PREDICTORS}
    wild |= {name: rng.uniform(0, 100, 20) for name in PFTS}
    wild["MAP"] = np.abs(wild["MAP"])
    values = true_parameters(wild, rng.uniform(0, 1, 20))
    for one, row in zip(PARAMETERS, values, strict=True):
        assert one.lower < row.min() <= row.max() < one.upper


def test_parts_add_up_and_their_shares_say_who_decides() -> None:
    places = land(Globe(geography="made-up", step=1.0), None)
    predictors = predictors_of(places, 0)
    assert tuple(predictors) == PREDICTORS
    plants, added = trait_parts(predictors)["lcma"]
    row = [one.name for one in PARAMETERS].index("lcma")
    np.testing.assert_allclose(true_parameters(predictors, np.ones(len(places)))[row], np.exp(plants + added))
    shares = plant_shares(predictors)
    assert shares["vod_foliar"] == pytest.approx(1)
    assert sum(0.25 < value < 0.75 for value in shares.values() if value is not None) > 10, "most have both"
    own = np.log(predictors["forest_age"])
    explained = np.stack([predictors[name] for name in (*PFTS, "MAT", "MAP", "elevation")] + [np.ones(len(places))], 1)
    left = own - explained @ np.linalg.lstsq(explained, own, rcond=None)[0]
    assert 0.1 < left.var() / own.var() < 0.9, "age follows climate and plants in part"


@given(st.integers(0, 1000), st.floats(-80, 80), st.floats(-180, 180))
def test_field_at_a_place_does_not_depend_on_other_places(seed: int, latitude: float, longitude: float) -> None:
    north, east = np.array([latitude, 10.0, -30.0]), np.array([longitude, 20.0, 77.0])
    many, one = smooth_field(seed, "x", 800, north, east), smooth_field(seed, "x", 800, north[:1], east[:1])
    assert many[0] == pytest.approx(one[0], abs=1e-9)
    near = smooth_field(seed, "x", 800, north[:1] + 0.1, east[:1])
    assert abs(near[0] - one[0]) < 0.2, "11 km of 800"
    longer, shorter = (smooth_series(seed, "x", 800, 0.5, months, north, east) for months in (6, 4))
    np.testing.assert_allclose(longer[:4], shorter, atol=1e-12)


def test_fields_have_unit_variance_and_their_own_scale() -> None:
    rng = np.random.default_rng(0)
    north, east = np.rad2deg(np.arcsin(rng.uniform(-1, 1, 4000))), rng.uniform(-180, 180, 4000)
    field = np.concatenate([smooth_field(seed, "x", 1000, north, east) for seed in range(10)])
    assert field.std() == pytest.approx(1, abs=0.05)
    assert abs(field.mean()) < 0.1
    series = smooth_series(0, "x", 1000, 0.6, 400, north[:200], east[:200])
    assert np.mean(series[1:] * series[:-1]) / series.var() == pytest.approx(0.6, abs=0.05)


class TestLand:
    def test_real_land_has_the_patches_that_the_rule_gives(self, data_dir: Path) -> None:
        choice = Globe()
        places = land(choice, data_dir)
        found = boxes(places, choice)
        assert (len(places), len(found), sum(len(one.positions) for one in found)) == (48_581, 846, 48_180)
        assert sum(len(one.positions) >= 64 for one in found) == 472
        np.testing.assert_allclose(places.pft.sum(0), 100)
        for box in found[::50]:
            north, east = places.latitude[box.positions], places.longitude[box.positions]
            assert (north > box.south).all() and (north < box.south + 4).all()  # noqa: PT018
            assert (east > box.west).all() and (east < box.west + 5).all()  # noqa: PT018
            assert (np.diff(north * 1000 + east) > 0).all(), "from south to north and from west to east"

    @pytest.mark.parametrize("seed", range(3))
    def test_made_up_planet_has_land_on_both_halves_and_all_types(self, seed: int) -> None:
        choice = Globe(geography="made-up", step=1.0, patches=40, cells=8, seed=seed)
        places = land(choice, None)
        chosen = boxes(places, choice)
        assert len({one.name for one in chosen}) == 40
        assert all(1 <= len(one.positions) <= 8 for one in chosen)
        assert min(one.south for one in chosen) < 0 < max(one.south for one in chosen)
        assert (places.pft.max(1)[:-1] > 50).all(), "each type has places of its own"
        assert 0.1 < len(places) / (132 * 360) < 0.8
        assert places.rain.min() >= 0

    def test_missing_files_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="PHLOEM_DATA is not set"):
            land(Globe(), None)
        with pytest.raises(InputError, match=r"no global_static_pft_ndvi\.nc, global_climatology_itur\.nc"):
            land(Globe(), tmp_path)


class TestFile:
    def test_template_and_example_are_read(self) -> None:
        assert load_globe_file(TEMPLATES / "globe.toml").geography == "made-up"
        assert load_globe_file(EXAMPLES / "global_twin_store.toml") == Globe()
        assert load_globe_file(None) == Globe()

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("yeers = 8", "years"),
            ("step = 0.25", "valid are 0.5 and 1"),
            ("step = 1", "real land has cells of 0.5"),
            ('geography = "made-up"\nstep = 1\ncells = 21', "has 20 of 1"),
            ("years = 2", "years"),
            ("noise = -1.0", "noise"),
        ],
    )
    def test_wrong_key_or_value_is_refused(self, tmp_path: Path, text: str, message: str) -> None:
        path = tmp_path / "globe.toml"
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            load_globe_file(path)
