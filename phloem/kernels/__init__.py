"""Everything that compiles: the model text, folds, the objective and the optimiser; arrays in, arrays out.

Floating types are explicit everywhere; JAX's 64-bit mode is switched on so that float64 can be asked for.
"""

import jax

jax.config.update("jax_enable_x64", True)

from phloem.kernels.adam import AdamOptions  # noqa: E402
from phloem.kernels.backends import BACKENDS, BackendWarning, resolve, runs_here  # noqa: E402
from phloem.kernels.canopy import canopy_efficiency  # noqa: E402
from phloem.kernels.dalec import dalec, inputs, state  # noqa: E402
from phloem.kernels.fast import FastOptions  # noqa: E402
from phloem.kernels.fold import fold, trajectory  # noqa: E402
from phloem.kernels.grid_model import LIVE, GridObserved, GridState, GridWeather, grid_dalec, grid_state  # noqa: E402
from phloem.kernels.grid_objective import NEAR_ZERO, GridObjective, LeafEconomics  # noqa: E402
from phloem.kernels.grid_site import GridSite, Protocol, grid_site  # noqa: E402
from phloem.kernels.lanes import DIVERGED, DONE, MAX_REDRAWS, PADDING, RUNNING, Lanes  # noqa: E402
from phloem.kernels.model import Model, Parameter  # noqa: E402
from phloem.kernels.objective import SiteData, SiteObjective, Terms, nnse  # noqa: E402
from phloem.kernels.optimiser import Options, advance, begin  # noqa: E402
from phloem.kernels.parameters import CALIBRATED, PARAMETERS, POOLS  # noqa: E402
from phloem.kernels.records import Observed, Outputs, State  # noqa: E402
from phloem.kernels.series import SEGMENT, Series, series  # noqa: E402
from phloem.kernels.site import Site, site, site_data  # noqa: E402
from phloem.kernels.switches import MODES, Switches, switches  # noqa: E402
from phloem.kernels.transform import physical, unbounded  # noqa: E402
from phloem.kernels.windows import richest_years  # noqa: E402

__all__ = [
    "BACKENDS",
    "CALIBRATED",
    "DIVERGED",
    "DONE",
    "LIVE",
    "MAX_REDRAWS",
    "MODES",
    "NEAR_ZERO",
    "PADDING",
    "PARAMETERS",
    "POOLS",
    "RUNNING",
    "SEGMENT",
    "AdamOptions",
    "BackendWarning",
    "FastOptions",
    "GridObjective",
    "GridObserved",
    "GridSite",
    "GridState",
    "GridWeather",
    "Lanes",
    "LeafEconomics",
    "Model",
    "Observed",
    "Options",
    "Outputs",
    "Parameter",
    "Protocol",
    "Series",
    "Site",
    "SiteData",
    "SiteObjective",
    "State",
    "Switches",
    "Terms",
    "advance",
    "begin",
    "canopy_efficiency",
    "dalec",
    "fold",
    "grid_dalec",
    "grid_site",
    "grid_state",
    "inputs",
    "nnse",
    "physical",
    "resolve",
    "richest_years",
    "runs_here",
    "series",
    "site",
    "site_data",
    "state",
    "switches",
    "trajectory",
    "unbounded",
]
