"""The models of everything in one file, DIR/models.h5: what maps are made by."""

from __future__ import annotations

from pathlib import Path

from phloem.analysis.flux_maps.fitted_upscaling import FittedUpscaling
from phloem.errors import InputError, WorkError
from phloem.io.files.atomic import CorruptFile, hdf5_image, read_hdf5, write_atomically
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.upscaling.fit_units import table_of
from phloem.jobs.upscaling.tower_scores import why_no_models


def write_fitted(campaign: Campaign, fitted: FittedUpscaling) -> Path:
    """Write the models of a campaign."""
    path = campaign.paths.models
    attributes = {"configuration_hash": campaign.configuration.fingerprint(), "version": campaign.version}
    write_atomically(path, hdf5_image(fitted.to_arrays(), attributes))
    return path


def require_models(campaign: Campaign) -> Path:
    """Return the file of a campaign's models, which is there.

    Raises:
        InputError: the campaign is no upscaling, or has no models that can be applied; why.
        WorkError: it is not merged.
    """
    table, path, root = table_of(campaign.configuration), campaign.paths.models, campaign.paths.root
    if not path.is_file():
        if campaign.paths.merged.is_file():
            raise InputError(f"{root}: no models for maps: {why_no_models(table)}")
        raise WorkError(f"{path}: not there, for {root} is not merged; make it with: phloem run {root}")
    return path


def open_fitted(campaign: Campaign) -> FittedUpscaling:
    """Read the models of a merged campaign.

    Raises:
        InputError: the campaign is no upscaling, or has no models that can be applied.
        WorkError: it is not merged, or its models are damaged or of another configuration.
    """
    path, root = require_models(campaign), campaign.paths.root
    try:
        arrays, attributes = read_hdf5(path)
    except CorruptFile as error:
        raise WorkError(f"{error}; make it again with: phloem merge {root}") from error
    if attributes.get("configuration_hash") != campaign.configuration.fingerprint():
        raise WorkError(f"{path}: of another configuration; make it again with: phloem merge {root}")
    return FittedUpscaling.from_arrays(arrays)
