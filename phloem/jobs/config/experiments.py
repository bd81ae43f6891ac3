"""Experiments by name: the type of a campaign file's [experiment] table, and so its model and kind of work."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from phloem.errors import InputError
from phloem.typed_tables import ExperimentTable

DEFAULT = "site"
"""Of a campaign file without a name."""

GROUP = "phloem.experiments"
"""Entry points by which other packages bring models and experiments of their own: name = "module:class"."""

_DALEC = "phloem.kernels.calibrations.dalec_daily.experiment:DalecExperiment"

SIDE_BY_SIDE = ("baseline", "single-year", "growth-curve")
"""Experiments over one driver store that `phloem experiments` runs, in this order, each in a folder of its name."""

EXPERIMENTS = {
    **dict.fromkeys(("site", *SIDE_BY_SIDE), _DALEC),
    "network": "phloem.jobs.network.table:NetworkTable",
    "upscaling": "phloem.jobs.upscaling.table:UpscalingTable",
}
"""The experiments of this package: module and class of each."""

WRITTEN_BY_COMMANDS = {
    "application": "phloem.jobs.application.table:ApplicationTable",
    "simulation": "phloem.jobs.simulation.table:SimulationTable",
}
"""Those that a command writes, as `phloem simulate`, and nobody by hand."""


@cache
def find_experiment(name: str) -> type[ExperimentTable]:
    """Return the [experiment] table of a name.

    Raises:
        InputError: no experiment has this name; the message has the valid ones. Or what brings it is broken.
    """
    own = {**EXPERIMENTS, **WRITTEN_BY_COMMANDS}
    brought = {} if name in own else {point.name: point for point in entry_points(group=GROUP)}
    if name in brought:
        return _load(brought[name])
    if name not in own:
        valid = ", ".join([*EXPERIMENTS, *sorted(brought)])
        raise InputError(f"must be one of {valid}")
    module, _, attribute = own[name].partition(":")
    table: type[ExperimentTable] = getattr(import_module(module), attribute)
    return table


def _load(point: EntryPoint) -> type[ExperimentTable]:
    try:
        found = point.load()
    except (ImportError, AttributeError) as error:
        raise InputError(f"experiment {point.name!r} is brought by {point.value}, which fails: {error}") from error
    if not (isinstance(found, type) and issubclass(found, ExperimentTable)):
        raise InputError(f"experiment {point.name!r} is brought by {point.value}, which is no ExperimentTable")
    return found
