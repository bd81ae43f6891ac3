"""The example of a campaign on GPUs through SLURM, planned on a machine that has neither."""

from __future__ import annotations

from pathlib import Path

from phloem.jobs.campaign.campaign import open_campaign
from phloem.jobs.run.slurm.rounds import slurm_options
from tests.support.campaigns.campaigns import succeed

EXAMPLE = Path(__file__).parents[3] / "examples/slurm_gpus.toml"


def test_the_example_is_planned_without_gpu_and_asks_for_four_gpus_and_their_cores(tmp_path: Path) -> None:
    succeed(
        "plan", EXAMPLE, "--set", "data.cells=6", "--out", "made", folder=tmp_path, afresh=True, PHLOEM_CUDA_DRIVER=""
    )
    campaign = open_campaign(tmp_path / "made")
    assert campaign.configuration.experiment.time_loop == "gpu"
    assert [len(campaign.tile_cells(tile)) for tile in campaign.all_tiles] == [2, 2, 2], "a share for each of 4 workers"
    asked = slurm_options(campaign.configuration).parameters()
    assert (asked["gres"], asked["cpus_per_task"]) == ("gpu:4", 16)
