"""Cells in a tile where the campaign file leaves them open: as many as suit what computes them."""

from __future__ import annotations

from phloem.arithmetic import ceil_div
from phloem.jobs.config.campaign_file import CELLS, Configuration
from phloem.sharding.lanes.blocks import widest_block


def settle_tiles(configuration: Configuration, cells: int) -> Configuration:
    """Return a configuration whose tiles have a size.

    On cores a tile is a block of lanes. On GPUs it is as many lanes as fill a worker's devices, and fewer where the
    campaign has not so many for each of its workers. One tile at a time on a device, instead of many small ones, keeps
    one owner, one checkpoint and one commit for each; it is minutes of work, of which a loss costs those since the last
    checkpoint.

    Args:
        configuration: of the campaign, its backend settled.
        cells: of the campaign.
    """
    engine = configuration.engine
    backend = configuration.experiment.time_loop
    if backend != "gpu":
        return configuration.with_tiles(CELLS)
    lanes = engine.devices * widest_block(backend, lanes=engine.lanes)
    each = ceil_div(cells, engine.workers_of(engine.gpus))
    return configuration.with_tiles(max(1, min(lanes // configuration.campaign.members, each)))
