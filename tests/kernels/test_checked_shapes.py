"""The check of the kernels' annotations is on where tests run, and refuses what JAX would broadcast without a word."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

import phloem.kernels
from phloem.kernels.calibrations.dalec_daily.site_objective import SiteObjective
from phloem.kernels.models.dalec_daily.daily_step import dalec
from phloem.kernels.models.dalec_daily.mode_switches import STRICT
from phloem.kernels.objective.bounded_log import physical
from phloem.kernels.objective.site import site_data, weighted
from phloem.kernels.optimise.lanes import draw, lane_keys
from phloem.kernels.optimise.optimiser import choose
from tests.support.checked_shapes import CHECKED
from tests.support.kernels.builders import made_site

LANES = 3


@pytest.mark.parametrize("shape", [(1,), (LANES, 1), ()])
def test_a_sharpness_that_is_not_one_a_lane_is_refused(shape: tuple[int, ...]) -> None:
    objective = SiteObjective(dalec("strict"), "xla", switches=STRICT)
    data = site_data([made_site(64, seed, STRICT) for seed in range(2)], np.float64)
    raw, lane_cell = jnp.zeros((len(objective.unknowns), LANES)), jnp.zeros(LANES, jnp.int32)
    with pytest.raises(TypeCheckError, match="sharpness"):
        jax.eval_shape(lambda k: objective.loss(raw, k, data, lane_cell), jnp.ones(shape))
    assert jax.eval_shape(lambda k: objective.loss(raw, k, data, lane_cell), jnp.ones(LANES)).shape == (LANES,)


def test_cells_of_lanes_that_are_no_whole_numbers_are_refused() -> None:
    objective = SiteObjective(dalec("strict"), "xla", switches=STRICT)
    data = site_data([made_site(64, 0, STRICT)], np.float64)
    raw = jnp.zeros((len(objective.unknowns), LANES))
    with pytest.raises(TypeCheckError, match="lane_cell"):
        jax.eval_shape(lambda cell: objective.loss(raw, jnp.ones(LANES), data, cell), jnp.zeros(LANES))


def test_unknowns_without_lanes_are_refused() -> None:
    table = dalec("strict").unknowns
    with pytest.raises(TypeCheckError, match="raw"):
        physical(jnp.zeros(len(table)), table)


def test_a_mask_of_another_length_is_refused() -> None:
    with pytest.raises(TypeCheckError, match="inside"):
        weighted(np.zeros(10), np.ones(1, bool))
    assert weighted(np.arange(10.0), np.ones(10, bool))[2] == pytest.approx(82.5)


def test_redraws_of_other_lanes_are_refused_under_jit() -> None:
    key, start = jnp.asarray(lane_keys(0, [1] * LANES, range(LANES))), jnp.full((LANES, 4), jnp.nan, jnp.float32)
    with pytest.raises(TypeCheckError, match="redraws"):
        draw(key, jnp.zeros(LANES + 1, jnp.int32), start, "normal")
    assert draw(key, jnp.zeros(LANES, jnp.int32), start, "normal").shape == start.shape


def test_a_choice_by_lane_needs_a_truth_a_lane() -> None:
    with pytest.raises(TypeCheckError, match="condition"):
        choose(jnp.ones(LANES), jnp.ones(LANES), jnp.zeros(LANES))


def test_every_module_that_states_shapes_is_checked() -> None:
    package = Path(phloem.kernels.__path__[0])
    stating = [path for path in package.rglob("*.py") if "from jaxtyping import" in path.read_text()]
    names = [".".join(("phloem.kernels", *path.relative_to(package).with_suffix("").parts)) for path in stating]
    assert len(names) > 15
    assert [name for name in names if not name.startswith(CHECKED)] == []


def test_commands_run_unchecked() -> None:
    """In a process of its own, as users start it, no annotation is evaluated and no type checker imported."""
    text = (
        "import sys; import phloem.kernels.optimise.windowed_bfgs, phloem.kernels.simulate.daily_outputs; "
        "from phloem.kernels.objective.bounded_log import physical; "
        "print('beartype' in sys.modules, hasattr(physical, '__wrapped__'))"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
