"""The report's figures in a notebook."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

import phloem


def picture(figure, folder: Path) -> np.ndarray:
    """What a notebook shows of a figure."""
    path = folder / "shown.png"
    path.write_bytes(figure._repr_png_())
    return matplotlib.image.imread(path)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("map", ("lcma",), "median"),
        ("map", ("canopy_efficiency", "rcv"), "rCV"),
        ("map", ("derived_turnover_wood",), "wood turnover"),
        ("map", ("status",), "status"),
        ("map", ("loss",), "least end loss"),
        ("map", ("nnse_validation_gpp",), "NNSE of GPP, validation"),
        ("series", ("T000",), ""),
        ("seasonal", ("T001",), ""),
        ("loss", ("T000",), ""),
        ("agreement", (), "cells whose members agree"),
    ],
)
def test_a_figure_is_drawn_and_shown(campaign: phloem.OpenedCampaign, tmp_path: Path, name, arguments, words) -> None:
    figure = getattr(campaign.plot, name)(*arguments)
    shown = picture(figure, tmp_path)
    assert shown[..., :3].std() > 0.02, "something is on it"
    texts = [axes.get_title(loc=side) for axes in figure.axes for side in ("left", "center", "right")]
    texts += [text.get_text() for owner in (figure, *figure.axes) for text in owner.texts]
    assert any(words in text for text in texts)
    figure.savefig(tmp_path / "saved.pdf")


def test_all_quantities_can_be_mapped(campaign: phloem.OpenedCampaign) -> None:
    quantities = campaign.plot.quantities
    assert len(quantities) == len(set(quantities)) > 40
    assert {"lcma", "status", "loss", "nnse_et", "nnse_validation_lai"} <= set(quantities)
    for one in quantities[::9]:
        assert campaign.plot.map(one).axes


def test_wrong_quantities_are_refused_with_the_valid_ones(campaign: phloem.OpenedCampaign) -> None:
    with pytest.raises(phloem.InputError, match=r"quantity 'lmca' is unknown. Did you mean 'lcma'\? Valid are "):
        campaign.plot.map("lmca")
    with pytest.raises(phloem.InputError, match="statistic 'mean': valid are median, rcv"):
        campaign.plot.map("lcma", "mean")
