"""`phloem.run`: a small campaign on this machine, from a notebook or a script."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from phloem.errors import InputError, WorkError
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.campaign.planning import open_or_plan, take_up
from phloem.jobs.config.campaign_file import Configuration, configuration_of, load_configuration
from phloem.jobs.notebook.opened_campaign import OpenedCampaign
from phloem.jobs.notebook.opened_training import opened
from phloem.jobs.run.deliver import deliver
from phloem.jobs.run.execute import describe_set_aside, run_campaign


def run(
    config: str | os.PathLike[str] | Mapping[str, Any],
    out: str | os.PathLike[str] | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    workers: int = 0,
) -> OpenedCampaign:
    """Plan a campaign if need be, compute what has no result yet on this machine, merge, and open it.

    It goes on from where it was interrupted: call it again. Worker processes calibrate, with a bar in a notebook and on
    a terminal; a script needs no `if __name__ == "__main__"`. For hours of work, `phloem run` as a command outlives the
    notebook, and `--engine slurm` the machine; `open_campaign` shows from here how far it is.

    Args:
        config: a campaign file, or its tables as a dict, whose relative paths count from the working directory; or the
            directory of a planned campaign, to go on with it.
        out: directory of the campaign; by default campaigns/NAME.
        settings: values of some keys in the place of the file's, such as `{"campaign.members": 3}`.
        workers: processes; 0: as the configuration says, which by default is one a core.

    Raises:
        InputError: wrong key, value or input, named; nothing was written. Or the engine is another than `local`.
        WorkError: some tiles have no result, cells were set aside, or the run was interrupted; the message says how to
            go on. What was done is kept.

    Example:
        >>> import phloem
        >>> campaign = phloem.run("campaigns/transect")
        >>> campaign.merged.sizes["member"]
        3
    """
    assignments = _assignments(settings or {})
    campaign = _planned(config, Path(out).expanduser() if out is not None else None, assignments)
    state = run_campaign(campaign, workers)
    deliver(campaign, state)
    if told := describe_set_aside(state, campaign.paths.root):
        raise WorkError(f'{told}\nThe others are merged: phloem.open_campaign("{campaign.paths.root}")')
    return opened(campaign)


def _planned(config: str | os.PathLike[str] | Mapping[str, Any], out: Path | None, assignments: list[str]) -> Campaign:
    """Return the campaign, planned if need be."""
    if isinstance(config, Mapping):
        configuration = configuration_of(_plain(config), assignments)
        _refuse_other_engine(configuration)
        return take_up(configuration, out, Path.cwd())
    if not isinstance(config, (str, os.PathLike)):
        raise InputError(
            f"config: a {type(config).__name__}; give a campaign file, a dict of its tables, or a directory"
        )
    target = Path(config).expanduser()
    if not target.is_dir():
        _refuse_other_engine(load_configuration(target, assignments))
    campaign = open_or_plan(target, out, assignments)
    _refuse_other_engine(campaign.configuration)
    return campaign


def _refuse_other_engine(configuration: Configuration) -> None:
    engine = configuration.engine.name
    if engine != "local":
        raise InputError(
            f'engine.name = "{engine}", and phloem.run computes on this machine: let `phloem run` do it as a '
            'command and phloem.open_campaign look at it, or pass settings={"engine.name": "local"}'
        )


def _assignments(settings: Mapping[str, Any]) -> list[str]:
    """Return `key.path=value` texts; values as TOML."""
    texts = []
    for key, value in settings.items():
        try:
            written = tomli_w.dumps({"x": _plain(value)})
        except TypeError as error:
            raise InputError(f"settings: {key} = {value!r}: {error}") from error
        if not written.startswith("x ="):
            raise InputError(f"settings: {key} is a table; give its keys one by one, as {key}.KEY")
        texts.append(f"{key}={written.removeprefix('x =').strip()}")
    return texts


def _plain(value: Any) -> Any:
    """Return a value as TOML knows it: paths as texts, numpy's numbers as Python's."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        return value.item()
    return os.fspath(value) if isinstance(value, os.PathLike) else value
