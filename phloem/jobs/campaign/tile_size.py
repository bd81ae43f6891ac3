"""Lanes that a campaign's devices compute at once, and the cells in a tile that suit them."""

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
    on_gpu = configuration.experiment.time_loop == "gpu"
    return configuration.with_tiles(filling_cells(configuration, cells) if on_gpu else CELLS)


def filling_cells(configuration: Configuration, cells: int) -> int:
    """Return the cells of a tile whose lanes fill a block, or on GPUs all devices of a worker.

    There no worker has more than its share of the campaign.

    Args:
        configuration: of the campaign, its backend settled.
        cells: of the campaign.
    """
    engine, members = configuration.engine, configuration.campaign.members
    if not engine.gpus:
        return max(1, planned_width(configuration) // members)
    each = ceil_div(cells, engine.workers_of(engine.gpus))
    return min(max(1, engine.devices * planned_width(configuration) // members), each)


def planned_width(configuration: Configuration) -> int:
    """Return the lanes of a device's widest block, of a device that is not at hand."""
    return widest_block(configuration.experiment.time_loop, lanes=configuration.engine.lanes)
