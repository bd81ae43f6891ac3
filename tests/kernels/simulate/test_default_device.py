"""Forward runs by the cpu backend where arrays lie elsewhere by default, as in a process that has a GPU."""

import subprocess
import sys

from tests.support.processes import environment

PROGRAM = """
import jax, jax.numpy as jnp, numpy as np
from phloem.kernels.models.dalec_daily.daily_step import dalec
from phloem.kernels.models.dalec_daily.mode_switches import STRICT
from phloem.kernels.simulate import one_year, outputs_from_day, pools_at_year_ends
from phloem.kernels.time_loop.backends import device_of
from tests.support.kernels.builders import STATE, G, made_site
model, weather = dalec("strict"), [made_site(365, 1, STRICT).weather]
given, pools, lanes = np.tile(G, (3, 1)), np.tile(STATE, (3, 1)), np.zeros(3, int)
near, far = jax.devices()
def watch(module, name):
    run = getattr(module, name)
    def watched(*arguments):
        arrays = [leaf for leaf in jax.tree.leaves((arguments, run(*arguments))) if isinstance(leaf, jax.Array)]
        print(module.__name__.rpartition(".")[2], sorted({device.id for array in arrays for device in array.devices()}))
        return run(*arguments)
    setattr(module, name, watched)
for module, name in ((one_year, "_run"), (outputs_from_day, "_run"), (pools_at_year_ends, "_year")):
    watch(module, name)
with jax.default_device(far):
    runs = pools_at_year_ends.yearly_pools(
        model, weather, [slice(0, 365)], given, pools, lanes, None, backend="cpu"
    )
    next(runs)
    print("between", [device.id for device in jnp.zeros(1).devices()])
    outputs_from_day.outputs_from_day(model, weather, None, given, pools, lanes, ("gpp",), backend="cpu")
    state = one_year.first_state(model, pools, np.float32)
    fixed = {"periods": None, "count": 0, "dtype": np.float32, "backend": "cpu"}
    one_year.run_one_year(model, given, state, weather, lanes, ("gpp",), **fixed)
    for backend, where in (("cpu", near), ("auto", far), ("gpu", far), ("xla", far)):
        with device_of(backend):
            print(backend, jnp.zeros(1).devices() == {where})
"""


def test_forward_runs_by_the_cpu_backend_keep_to_the_processor() -> None:
    variables = environment(JAX_NUM_CPU_DEVICES="2")
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert {found[name] for name in ("pools_at_year_ends", "outputs_from_day", "one_year")} == {"[0]"}
    assert found["between"] == "[1]"  # what the caller does meanwhile is its own affair
    assert {found[name] for name in ("cpu", "auto", "gpu", "xla")} == {"True"}
