"""Merges in a process of their own: whatever ends it can be told, and leaves the product that was there."""

from __future__ import annotations

import socket
from pathlib import Path

from phloem.hpc.apart import ProcessEnded, run_apart
from phloem.io.files.disk_space import not_written
from phloem.io.merge.write_merged import merge_again
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.progress import ProgressBar


def merge_in_process(function: str, campaign: Campaign, allow_holes: bool) -> Path:
    """Let a process of its own merge a campaign, with a bar, and return the product.

    Args:
        function: where it is, as `hpc.apart.run_apart` takes it. It is called with the campaign's directory and whether
            absent tiles are allowed, and reports the tiles that are done.
        campaign: whose tiles are merged.
        allow_holes: whether what absent tiles would have is marked as missing.

    Raises:
        WorkError: a tile is missing or damaged, and holes were not asked for; or the file cannot be written.
    """
    started: list[int] = []
    work = campaign.paths.root, allow_holes
    try:
        with ProgressBar("merging", len(campaign.tiles)) as bar:
            path: Path = run_apart(function, work, bar.update, started.append)
    except ProcessEnded as error:
        raise not_written(campaign.paths.merged, error, merge_again(campaign.paths)) from error
    finally:
        for process in started:
            campaign.paths.merged_temporary(socket.gethostname(), process).unlink(missing_ok=True)
    return path
