"""Choices of the command line: the same as in the files and functions behind it, checked and shown by each command."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner

from phloem.errors import InputError
from phloem.io.drivers.tower_files import QUALITY
from phloem.jobs.campaign.planning import KINDS, write_new
from phloem.jobs.command_line import app
from phloem.jobs.commands.options import Backend, EngineChoice, Kind, Mode, Precision, Quality, What
from phloem.jobs.config.engine import EngineSection
from phloem.jobs.single_cell import check_choices
from phloem.kernels.calibrations.experiment import Calibration
from phloem.kernels.time_loop.backends import BACKENDS

CHOICES = [
    (("simulate", "evaluate"), "--mode", Mode),
    (("simulate", "evaluate"), "--precision", Precision),
    (("simulate", "evaluate"), "--backend", Backend),
    (("simulate", "evaluate"), "--quality", Quality),
    (("run", "retry", "experiments"), "--engine", EngineChoice),
    (("new",), "--kind", Kind),
    (("ingest",), "--what", What),
]


@pytest.mark.parametrize(("commands", "option", "choice"), CHOICES, ids=[row[1] for row in CHOICES])
def test_a_wrong_choice_is_refused_by_its_option_with_the_valid_ones(
    commands: tuple[str, ...], option: str, choice: type[StrEnum]
) -> None:
    for name in commands:
        done = CliRunner().invoke(app, [name, option, "none-such"])
        assert done.exit_code == 2
        assert f"Invalid value for '{option}'" in done.stderr
        assert f"'none-such' is not one of {', '.join(repr(str(one)) for one in choice)}." in done.stderr
        shown = CliRunner().invoke(app, [name, "--help"])
        assert f"{option} <{'|'.join(choice)}>" in " ".join(shown.stdout.split())


def test_choices_are_those_of_what_they_are_handed_to() -> None:
    assert list(Mode) == list(get_args(Calibration.model_fields["mode"].annotation))
    assert list(Precision) == list(get_args(Calibration.model_fields["precision"].annotation))
    assert list(EngineChoice) == list(get_args(EngineSection.model_fields["name"].annotation))
    assert list(Backend) == list(BACKENDS)
    assert list(Quality) == list(QUALITY)
    assert list(Kind) == list(KINDS)


def test_functions_refuse_wrong_choices_themselves(tmp_path: Path) -> None:
    for given in (("loose", "float32", "auto"), ("strict", "float16", "auto"), ("strict", "float32", "abacus")):
        with pytest.raises(InputError, match="valid here are"):
            check_choices(*given)
    with pytest.raises(InputError, match="valid are tower, synthetic, grid"):
        write_new(tmp_path / "x.toml", "cube")
