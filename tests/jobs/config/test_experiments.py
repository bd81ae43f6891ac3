"""The experiments that are known before a model is imported."""

from __future__ import annotations

from phloem.jobs.config.experiments import EXPERIMENTS, SIDE_BY_SIDE
from phloem.jobs.network.table import NetworkTable
from phloem.jobs.upscaling.table import UpscalingTable
from phloem.kernels.calibrations.dalec_daily.experiment import GRID_EXPERIMENTS, DalecExperiment


def test_names_known_beforehand_are_those_of_the_model() -> None:
    assert tuple(EXPERIMENTS) == (*DalecExperiment.names, *NetworkTable.names, *UpscalingTable.names)
    assert SIDE_BY_SIDE == GRID_EXPERIMENTS
