"""`new` and `plan`: a frozen campaign from a campaign file, or one clear refusal and nothing on disk."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from phloem.errors import InputError
from phloem.io.campaign.paths import CampaignPaths
from phloem.jobs.campaign.backend import resolve_backend
from phloem.jobs.campaign.campaign import Campaign, freeze, is_campaign, open_campaign, replace_units
from phloem.jobs.campaign.kind_of_work import kind_of
from phloem.jobs.campaign.tile_size import settle_tiles
from phloem.jobs.config.campaign_file import Configuration, load_configuration
from phloem.jobs.config.toml_file import TEMPLATES
from phloem.jobs.progress import INTERRUPTS

KINDS = ("tower", "synthetic", "grid", "network", "upscaling")
"""What `phloem new` can write."""

MARKER = ".planning"
"""Stands in a campaign directory from the first to the last file of its plan."""

FREE_KEYS = (
    "campaign.name",
    "engine",
    "failures",
    "tiles.checkpoint_minutes",
    "data.path",
    "data.reference",
    "data.on_bad",
)
"""What may differ between a campaign file and the campaign it planned: no result depends on it."""


def open_or_plan(target: Path, out: Path | None, assignments: Sequence[str]) -> Campaign:
    """Return the campaign of a campaign file or directory, planning it if need be.

    Args:
        target: a campaign file, or the directory of a planned campaign.
        out: where to plan it.
        assignments: `key.path=value` texts.

    Raises:
        InputError: bad file, key, value or input; or a planned campaign whose science is another.
    """
    if target.is_dir():
        if out is not None and out.resolve() != target.resolve():
            raise InputError(f"{target} is a campaign directory; --out goes with a campaign file")
        campaign = open_campaign(target)
        if assignments:
            wanted = load_configuration(campaign.paths.configuration, assignments)
            return _go_on(campaign, wanted, Path.cwd())
        return campaign
    return take_up(load_configuration(target, assignments), out, target.resolve().parent)


def take_up(configuration: Configuration, out: Path | None, base: Path) -> Campaign:
    """Return the campaign of a configuration, planning it if need be.

    Args:
        configuration: of the campaign.
        out: its directory; None: of its name, in campaigns/.
        base: folder from which the configuration's relative paths count.

    Raises:
        InputError: bad input; or a planned campaign whose science is another.
    """
    root = out if out is not None else Path("campaigns") / configuration.campaign.name
    if is_campaign(root):
        return _go_on(open_campaign(root), configuration, base)
    return plan(configuration, root, base)


def _go_on(campaign: Campaign, wanted: Configuration, base: Path) -> Campaign:
    """Go on with a wanted configuration: the same science, and the towers from wherever its data folder is now."""
    frozen = campaign.configuration
    wanted = wanted.with_backend(frozen.experiment.time_loop).with_tiles(frozen.tiles.cells)
    _refuse_other_science(campaign, wanted)
    moved = campaign.kind.moved(campaign, wanted, base)
    if moved is not None:
        campaign = replace_units(campaign, moved)
    return replace(campaign, configuration=wanted)


def _refuse_other_science(campaign: Campaign, wanted: Configuration) -> None:
    """Refuse to go on with a configuration whose results, or whose tiles, would be others."""
    frozen = campaign.configuration
    ours, theirs = _flatten(frozen.written()), _flatten(wanted.written())
    changed = [
        f"{key}: planned {ours.get(key)!r}, now {theirs.get(key)!r}"
        for key in sorted({*ours, *theirs})
        if ours.get(key) != theirs.get(key) and not key.startswith(FREE_KEYS)
    ]
    if not changed:
        return
    raise InputError(
        f"{campaign.paths.root} holds a campaign with another configuration:\n  "
        + "\n  ".join(changed)
        + "\nGo on with the planned one (`phloem run "
        + f"{campaign.paths.root}`), or start anew with --out OTHER_DIRECTORY."
    )


def _flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        flat.update(_flatten(value, f"{name}.") if isinstance(value, dict) else {name: value})
    return flat


def plan(configuration: Configuration, root: Path, base: Path) -> Campaign:
    """Read and check all input, then write the campaign directory.

    Args:
        configuration: of the campaign.
        root: the campaign directory; must be absent or empty.
        base: folder from which the configuration's relative paths count.

    Raises:
        InputError: whatever is wrong with the input; nothing is left on disk.
    """
    if root.exists() and not _is_unfinished_plan(root):
        raise InputError(f"{root} exists and holds no campaign; name another directory with --out")
    configuration = resolve_backend(configuration)
    checked = kind_of(configuration.experiment.kind_of_work).check(configuration, base)
    existed = root.exists()
    try:
        root.mkdir(parents=True, exist_ok=True)
        (root / MARKER).touch()
    except OSError as error:
        raise InputError(f"{root}: a campaign cannot be written there ({error.strerror})") from error
    try:
        units = checked.units(root)
        INTERRUPTS.check()
        campaign = freeze(CampaignPaths(root), settle_tiles(checked.configuration, len(units.table)), units)
    except BaseException:
        _clear(root, existed)
        raise
    (root / MARKER).unlink(missing_ok=True)
    return campaign


def _is_unfinished_plan(root: Path) -> bool:
    """Tell whether a directory is empty, or was when a `plan` that was killed began to write there."""
    return root.is_dir() and ((root / MARKER).exists() or not any(root.iterdir()))


def _clear(root: Path, existed: bool) -> None:
    """Take back a half-written plan: all of it was written by us, since the directory was empty before."""
    if is_campaign(root) or not (root / MARKER).exists():
        return
    for path in root.iterdir() if root.is_dir() else []:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if root.is_dir() and not existed:
        root.rmdir()


def write_new(path: Path, kind: str) -> Path:
    """Write a commented campaign file to start from.

    Args:
        path: the file to write.
        kind: `tower` or `synthetic`.

    Raises:
        InputError: the file exists, or the kind is unknown.
    """
    if kind not in KINDS:
        raise InputError(f"--kind {kind!r}: valid are {', '.join(KINDS)}")
    if path.exists():
        raise InputError(f"{path} exists already; name another file")
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist")
    text = (TEMPLATES / f"{kind}.toml").read_text(encoding="utf-8")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._") or "campaign"
    try:
        path.write_text(text.replace("NAME.toml", path.name).replace("NAME", name), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    return path
