"""Checkpoints: state of a running attempt, two generations a tile."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from phloem.io.campaign.paths import CampaignPaths
from phloem.io.files.atomic import (
    CorruptFile,
    OnFull,
    hdf5_image,
    parse_hdf5,
    read_bytes,
    read_hdf5,
    sync_directory,
    write_atomically,
)


def save_checkpoint(
    paths: CampaignPaths,
    index: int,
    arrays: Mapping[str, np.ndarray],
    attributes: Mapping[str, Any],
    on_full: OnFull | None = None,
    part: str = "",
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
        part: of the tile, where it is computed in parts.
    """
    if not isinstance(attributes.get("fingerprint"), str):
        raise ValueError("a checkpoint needs the attribute 'fingerprint', a text")
    newest, previous = paths.checkpoint(index, part), paths.checkpoint_previous(index, part)

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
    paths: CampaignPaths, index: int, fingerprint: str, part: str = ""
) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Return the newest whole checkpoint of a tile that belongs to a computation.

    Args:
        paths: the campaign.
        index: the tile.
        fingerprint: what the checkpoint's attribute must equal.
        part: of the tile, where it is computed in parts.

    Returns:
        Arrays and attributes, or None where neither generation serves.
    """
    for path in (paths.checkpoint(index, part), paths.checkpoint_previous(index, part)):
        try:
            arrays, attributes = read_hdf5(path)
        except (CorruptFile, FileNotFoundError):
            continue
        if attributes.get("fingerprint") == fingerprint:
            return arrays, attributes
    return None


def drop_checkpoint(paths: CampaignPaths, index: int) -> None:
    """Remove what a tile and its parts have written, as after a commit; the newest generation goes last."""
    parts = [path for path in paths.checkpoints_dir.glob(f"tile_{index:05d}.*") if not path.name.endswith(".tmp")]
    last = paths.checkpoint(index)
    for path in [*(path for path in parts if path != last), last]:
        path.unlink(missing_ok=True)
    sync_directory(paths.checkpoints_dir)


def save_part(
    paths: CampaignPaths,
    index: int,
    part: str,
    arrays: Mapping[str, np.ndarray],
    attributes: Mapping[str, Any],
    on_full: OnFull | None = None,
) -> None:
    """Keep the result of a part of a tile until the tile is committed; attributes as in `save_checkpoint`."""
    write_atomically(paths.part(index, part), hdf5_image(arrays, attributes), on_full=on_full)


def load_part(paths: CampaignPaths, index: int, part: str, fingerprint: str) -> dict[str, np.ndarray] | None:
    """Return the result of a part, None where there is none that is whole and belongs to the computation."""
    try:
        arrays, attributes = read_hdf5(paths.part(index, part))
    except (CorruptFile, FileNotFoundError):
        return None
    return arrays if attributes.get("fingerprint") == fingerprint else None
