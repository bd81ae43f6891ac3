"""Checkpoints: where an attempt may go on, two generations a tile."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from phloem.io.atomic import (
    CorruptFile,
    OnFull,
    hdf5_image,
    parse_hdf5,
    read_bytes,
    read_hdf5,
    sync_directory,
    write_atomically,
)
from phloem.io.paths import CampaignPaths


def save_checkpoint(
    paths: CampaignPaths,
    index: int,
    arrays: Mapping[str, np.ndarray],
    attributes: Mapping[str, Any],
    on_full: OnFull | None = None,
) -> None:
    """Write a tile's checkpoint and keep the one before it.

    The new generation is whole on disk before the old one is touched, and a damaged old one is never kept in
    place of a whole one: after the first save some whole generation exists at every instant.

    Args:
        paths: the campaign.
        index: the tile.
        arrays: any numeric arrays.
        attributes: must hold "fingerprint", the text that says to which computation the state belongs.
        on_full: called while the disk is full.
    """
    if not isinstance(attributes.get("fingerprint"), str):
        raise ValueError("a checkpoint needs the attribute 'fingerprint', a text")
    newest, previous = paths.checkpoint(index), paths.checkpoint_previous(index)

    def keep_previous(temporary: Path) -> None:
        if _is_whole(newest):
            os.replace(newest, previous)

    write_atomically(newest, hdf5_image(arrays, attributes), on_full=on_full, before_commit=keep_previous)


def _is_whole(path: Path) -> bool:
    try:
        parse_hdf5(read_bytes(path), str(path))
    except (CorruptFile, FileNotFoundError):
        return False
    return True


def load_checkpoint(
    paths: CampaignPaths, index: int, fingerprint: str
) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """The newest whole checkpoint of a tile that belongs to a computation.

    Args:
        paths: the campaign.
        index: the tile.
        fingerprint: what the checkpoint's attribute must equal.

    Returns:
        Arrays and attributes, or None where neither generation serves.
    """
    for path in (paths.checkpoint(index), paths.checkpoint_previous(index)):
        try:
            arrays, attributes = read_hdf5(path)
        except (CorruptFile, FileNotFoundError):
            continue
        if attributes.get("fingerprint") == fingerprint:
            return arrays, attributes
    return None


def drop_checkpoint(paths: CampaignPaths, index: int) -> None:
    """Remove both generations, as after a commit; the older goes first and is never left alone."""
    for path in (paths.checkpoint_previous(index), paths.checkpoint(index)):
        path.unlink(missing_ok=True)
    sync_directory(paths.checkpoints_dir)
