"""The models of everything in one file, DIR/models.h5: what maps are made by."""

from __future__ import annotations

from pathlib import Path

from phloem.analysis.flux_maps.fitted_upscaling import FittedUpscaling
from phloem.errors import InputError, WorkError, some
from phloem.io.files.atomic import CorruptFile, hdf5_image, read_hdf5, write_atomically
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.upscaling.fit_units import table_of
from phloem.jobs.upscaling.interval_places import interval_scheme


def fitted_path(root: Path) -> Path:
    """Return the file of a campaign's models."""
    return root / "models.h5"


def write_fitted(campaign: Campaign, fitted: FittedUpscaling) -> Path:
    """Write the models of a campaign."""
    path = fitted_path(campaign.paths.root)
    attributes = {"configuration_hash": campaign.configuration.fingerprint(), "version": campaign.version}
    write_atomically(path, hdf5_image(fitted.to_arrays(), attributes))
    return path


def open_fitted(campaign: Campaign) -> FittedUpscaling:
    """Read the models of a merged campaign.

    Raises:
        InputError: the campaign is no upscaling, or nothing calibrates its intervals.
        WorkError: it is not merged, or its models are damaged or of another configuration.
    """
    table = table_of(campaign.configuration)
    path, root = fitted_path(campaign.paths.root), campaign.paths.root
    if interval_scheme(table) is None:
        raise InputError(
            f"{root}: nothing tells how far its models are off at places never seen: experiment.cv has "
            f'{some(table.cv) or "nothing"}, and "tower" or "block" is due'
        )
    try:
        arrays, attributes = read_hdf5(path)
    except FileNotFoundError as error:
        raise WorkError(f"{path}: not there; make it with: phloem merge {root}") from error
    except CorruptFile as error:
        raise WorkError(f"{error}; make it again with: phloem merge {root}") from error
    if attributes.get("configuration_hash") != campaign.configuration.fingerprint():
        raise WorkError(f"{path}: of another configuration; make it again with: phloem merge {root}")
    return FittedUpscaling.from_arrays(arrays)
