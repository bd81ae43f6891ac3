"""Phloem calibrates a differentiable land-carbon model in every grid cell, and survives the cluster it runs on.

What `__all__` lists is public, for notebooks and scripts: docs/python.md. Nothing of it is imported before it is asked
for, so that `import phloem` costs nothing; everything else in the package may change.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from phloem.version import VERSION

if TYPE_CHECKING:
    from phloem import baselines
    from phloem.errors import InputError, WorkError
    from phloem.jobs.evaluation import Evaluation
    from phloem.jobs.notebook.campaign_status import CampaignStatus
    from phloem.jobs.notebook.one_cell import evaluate, simulate
    from phloem.jobs.notebook.open_campaigns import OpenedExperiments, open_campaign
    from phloem.jobs.notebook.opened_campaign import OpenedCampaign
    from phloem.jobs.notebook.parameter_arrays import read_parameters, write_parameters
    from phloem.jobs.notebook.plots import CampaignPlots
    from phloem.jobs.notebook.run_here import run

# HDF5 asks for a lock on every file that it opens. Where a file system has none (Lustre, NFS without lockd, DVS, mounts
# that are read-only) it then refuses the file. No file of this program needs them: what is written is renamed into its
# place when it is whole, and belongs to one process until then. Read by HDF5 when it begins, so set before it is there.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

__version__ = VERSION

__all__ = [
    "CampaignPlots",
    "CampaignStatus",
    "Evaluation",
    "InputError",
    "OpenedCampaign",
    "OpenedExperiments",
    "WorkError",
    "__version__",
    "baselines",
    "evaluate",
    "open_campaign",
    "read_parameters",
    "run",
    "simulate",
    "write_parameters",
]

_HOMES = {
    "phloem.errors": ("InputError", "WorkError"),
    "phloem.jobs.evaluation": ("Evaluation",),
    "phloem.jobs.notebook.campaign_status": ("CampaignStatus",),
    "phloem.jobs.notebook.one_cell": ("evaluate", "simulate"),
    "phloem.jobs.notebook.open_campaigns": ("OpenedExperiments", "open_campaign"),
    "phloem.jobs.notebook.opened_campaign": ("OpenedCampaign",),
    "phloem.jobs.notebook.parameter_arrays": ("read_parameters", "write_parameters"),
    "phloem.jobs.notebook.plots": ("CampaignPlots",),
    "phloem.jobs.notebook.run_here": ("run",),
}
"""Modules that public names are in; a new one stands here, in `__all__`, and above for type checkers."""

_MODULES = ("baselines",)
"""Public names that are modules of this package."""


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"phloem.{name}")
    for home, names in _HOMES.items():
        if name in names:
            found = globals()[name] = getattr(import_module(home), name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; public are {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
