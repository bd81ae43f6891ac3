"""The monthly model against the public code's own numbers, and what strict mends: balances, floors, months."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phloem.kernels.models.dalec_monthly.forcing_terms import weather
from phloem.kernels.models.dalec_monthly.mode_switches import COMPAT, MODES, STRICT, MonthlySwitches, switches
from phloem.kernels.models.dalec_monthly.monthly_step import inputs, inputs_from_logs, monthly_dalec
from phloem.kernels.models.dalec_monthly.parameters import PARAMETERS, POOLS, UNKNOWNS, as_published
from phloem.kernels.models.dalec_monthly.records import CARBON, OUTPUTS
from phloem.kernels.network.patch_loss import flows
from phloem.kernels.objective.bounded_log import physical
from phloem.kernels.time_loop.day_tables import day_tables
from phloem.kernels.time_loop.run_days import run_days
from tests.support.kernels.global_oracle import golden_cells
from tests.support.kernels.monthly_member import PARAMETERS as G
from tests.support.kernels.monthly_member import POOLS as STATE

FORCING = {"tasmin": 8.0, "tasmax": 20.0, "rsds": 18.0, "co2": 390.0, "vpd": 8.0, "pr": 2.0, "burned_area": 0.02}
GOLDEN = {
    "gpp": 3.82631901, "et": 2.34374408, "labile_release": 0.937718901, "leaf_litter": 0.0114615857,
    "wood_litter": 0.319629077, "root_litter": 0.233168184, "rh_litter": 1.56645187, "rh_som": 0.509235778,
    "litter_to_som": 0.224050402, "runoff": 0.725925926, "labile_combustion": 0.0177306751,
    "foliar_combustion": 0.033430355, "root_combustion": 0.0171414983, "wood_combustion": 0.535906849,
    "litter_combustion": 0.050724765, "som_combustion": 0.600068887, "labile_fire_litter": 0.0354613502,
    "foliar_fire_litter": 0.0250727662, "root_fire_litter": 0.0342829965, "wood_fire_litter": 1.0718137,
    "litter_fire_litter": 0.0591788925, "fire_emission": 1.25500303, "nee": -0.0287878055, "nbe": 1.22621522,
    "labile": 131.384303, "foliar": 123.608737, "root": 127.018502, "wood": 3971.06975, "litter": 253.171229,
    "som": 9016.96102, "water": 107.9099, "beta": 0.738562092, "sif": 0.360526584, "vod": 0.163319435,
}  # fmt: skip


def month(
    mode: str | MonthlySwitches, state: Any = STATE, values: Any = G, length: float = 30.0, **forcing: float
) -> Any:
    """Return the state and outputs of one month."""
    sw = switches(mode) if isinstance(mode, str) else mode
    model = monthly_dalec(mode)
    series = {name: np.array([value]) for name, value in {**FORCING, **forcing}.items()}
    w = weather(np.array([546.0]), np.array([180.0]), 60.0, series, (2.0, 1.5), np.array([length]), sw)
    w = type(w)(*(jnp.asarray(one[0]) for one in w))
    constants = model.prepare(inputs(jnp.asarray(values)))
    return model.step(model.state(*map(jnp.asarray, state)), constants, w)


class TestOneMonth:
    def test_the_golden_month(self) -> None:
        _, o = month("compat")
        for name, value in GOLDEN.items():
            assert float(getattr(o, name)) == pytest.approx(value, rel=5e-9), name

    def test_more_is_evaporated_than_there_is(self) -> None:
        dry = (*STATE[:-1], 5.0)
        end, o = month("compat", dry, pr=0.0, burned_area=0.0)
        assert float(o.et) == pytest.approx(0.133333333, rel=1e-8)
        assert float(o.runoff) == pytest.approx(-0.406666667, rel=1e-8)
        assert float(o.violation) == pytest.approx(0.00406666667, rel=1e-8)
        assert float(end.water) == 1.0
        end, o = month("strict", dry, pr=0.0, burned_area=0.0)
        assert (float(o.runoff), float(end.water)) == (0.0, 1.0)
        assert float(o.et) == pytest.approx(4.0 / 30, rel=1e-12)

    @pytest.mark.parametrize("length", [28, 29, 30, 31])
    def test_months_have_their_length(self, length: int) -> None:
        _, o = month("strict", length=float(length))
        wood = STATE[3] * (1 - (1 - 8e-5) ** length) / length
        assert float(o.wood_litter) == pytest.approx(wood, rel=1e-12)

    def test_logs_and_values_give_the_same_inputs(self) -> None:
        values = jnp.asarray(G)
        for one, other in zip(inputs(values), inputs_from_logs(jnp.log(values)), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-11)

    def test_names_of_modes_and_switches(self) -> None:
        with pytest.raises(ValueError, match="mode 'loose': valid are strict, compat"):
            switches("loose")
        with pytest.raises(ValueError, match="switch fire_floor = 'below': valid are above, none"):
            MonthlySwitches(fire_floor="below")


@settings(max_examples=60)
@given(st.data())
def test_strict_keeps_carbon_and_water_and_no_pool_leaves_its_bounds(data: st.DataObject) -> None:
    """Whatever the parameters, the pools, the weather and the fire."""
    shares = np.array(data.draw(st.lists(st.floats(0.01, 0.99), min_size=len(UNKNOWNS), max_size=len(UNKNOWNS))))
    low, high = (np.array([getattr(one, key) for one in UNKNOWNS]) for key in ("lower", "upper"))
    values = low * (high / low) ** shares
    forcing = {
        "tasmin": data.draw(st.floats(-40, 20)), "rsds": data.draw(st.floats(0, 30)), "pr": data.draw(st.floats(0, 20)),
        "vpd": data.draw(st.floats(0, 40)), "burned_area": data.draw(st.sampled_from([0.0, 0.1, 1.0])),
    }  # fmt: skip
    forcing["tasmax"] = forcing["tasmin"] + data.draw(st.floats(0, 20))
    length = float(data.draw(st.sampled_from([28, 29, 30, 31])))
    start = values[len(PARAMETERS) :]
    end, o = month("strict", start, values[: len(PARAMETERS)], length, **forcing)
    into, out = flows(o)
    for name, before, flowing, leaving, table in zip(CARBON, start, into, out, POOLS, strict=False):
        after = float(getattr(end, name))
        assert table.lower * (1 - 1e-12) <= after <= table.upper * (1 + 1e-12), name
        moved = float(flowing - leaving) * length
        size = max(before, after, abs(float(flowing)) * length, abs(float(leaving)) * length, 1.0)
        assert after - before == pytest.approx(moved, abs=1e-11 * size), name
    moved = (forcing["pr"] - float(o.et) - float(o.runoff)) * length
    assert float(end.water) - start[6] == pytest.approx(moved, abs=1e-10 * max(start[6], abs(moved), 1.0))
    assert float(o.runoff) >= 0
    assert float(o.nbe) == pytest.approx(float(o.ra + o.rh_litter + o.rh_som - o.gpp + o.fire_emission), abs=1e-9)
    stored = sum(float(getattr(end, name)) for name in CARBON) - start[:6].sum()
    assert stored == pytest.approx(-float(o.nbe) * length, abs=1e-10 * start[:6].sum())


def test_the_order_and_the_bounds_are_those_of_the_public_code(data_dir: Path) -> None:
    _, gold = golden_cells(data_dir / "oracle", "compat")
    names = [str(name).replace("initial_", "") for name in gold["quantity"]]
    other = {"iwue_unused": "iwue", "runoff_focal_point": "drainage_capacity"}
    assert [other.get(name, name) for name in names] == [one.name for one in UNKNOWNS]
    for key, bound in (("lower", "lower_bound"), ("upper", "upper_bound")):
        np.testing.assert_allclose([getattr(one, key) for one in UNKNOWNS], gold[bound], rtol=1e-7)
    np.testing.assert_allclose([one.lower for one in as_published()], gold["lower_bound"], rtol=1e-15)
    raw = gold["raw"].reshape(-1, len(UNKNOWNS)).T
    found = np.asarray(physical(jnp.asarray(raw), as_published()))
    np.testing.assert_allclose(found, gold["physical"].reshape(-1, len(UNKNOWNS)).T, rtol=1e-13)


@pytest.mark.parametrize("backend", ["xla", "cpu"])
class TestTrajectories:
    """Two cells of five members over 192 months; members 3 and 4 meet floors in many of them."""

    def run(self, data_dir: Path, backend: str) -> tuple[Any, np.ndarray, dict[str, np.ndarray]]:
        cells, gold = golden_cells(data_dir / "oracle", "compat")
        model, months = monthly_dalec("compat"), len(cells[0].co2)
        tables = day_tables(cells, [model.observed(np.zeros(months))] * 2, np.float64)
        lanes = np.repeat([0, 1], 5).astype(np.int32)

        def outputs(values: Any) -> Any:
            p, first = inputs(values[: len(PARAMETERS)]), model.first_state(values[len(PARAMETERS) :])
            return run_days(model, p, first, tables, lanes, OUTPUTS, backend=backend)[1][:, :months]

        return jax.jit(outputs), gold["physical"].reshape(10, -1).T, gold

    def test_all_outputs(self, data_dir: Path, backend: str) -> None:
        run, values, gold = self.run(data_dir, backend)
        found = np.asarray(run(jnp.asarray(values)))
        expected = gold["outputs"].reshape(10, -1, len(OUTPUTS)).transpose(2, 1, 0)
        assert (gold["months_at_water_floor"][:, 3:] > 0).any(), "floors are met"
        for name, ours, theirs in zip(OUTPUTS, found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-10 * np.abs(theirs).max(), err_msg=name)

    def test_a_gradient(self, data_dir: Path, backend: str) -> None:
        run, values, gold = self.run(data_dir, backend)
        scale = gold["scale"][:, None, None]

        def total(v: Any) -> Any:
            return ((run(v) / scale) ** 2).sum(0).mean(0).sum()

        found = np.asarray(jax.grad(total)(jnp.asarray(values))) * values
        expected = gold["dJ_dphysical"].reshape(10, -1).T * values
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-10 * np.abs(expected).max())

    def test_the_jacobian_of_the_means(self, data_dir: Path, backend: str) -> None:
        """Of each output by each quantity: by forward mode on xla, by reverse mode on cpu."""
        run, values, gold = self.run(data_dir, backend)

        def means(v: Any) -> Any:
            return run(v).mean(1).sum(-1)

        one = jnp.asarray(values)
        found = np.asarray((jax.jacfwd if backend == "xla" else jax.jacrev)(means)(one))  # (outputs, quantities, lanes)
        expected = gold["jacobian_time_mean"].reshape(10, len(OUTPUTS), -1).transpose(1, 2, 0)
        scaled, wanted = found * values, expected * values
        size = np.abs(wanted).max(axis=1, keepdims=True)
        assert (np.abs(scaled - wanted) <= 1e-8 * size + 1e-300).all()


def test_compat_is_all_that_the_public_code_does_otherwise() -> None:
    assert MODES == {"strict": STRICT, "compat": COMPAT}
    assert all(getattr(STRICT, name) != getattr(COMPAT, name) for name in MonthlySwitches.__dataclass_fields__)
