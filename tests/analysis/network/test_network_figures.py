"""Figures of trained networks hold what they should: bars, intervals, places, words."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from phloem.analysis.attribution.attribution_figures import identifiability_figure
from phloem.analysis.network.dominance import dominance
from phloem.analysis.network.member_agreement import member_agreement
from phloem.analysis.network.network_figures import dominance_figure, errors_figure, shares_figure, sites_figure
from phloem.analysis.network.set_up_partition import normalised_errors, partition_of_set_ups, partition_with_intervals
from phloem.analysis.network.tower_scores import tower_scores
from phloem.analysis.style.plot_style import to_png
from phloem.errors import InputError
from phloem.kernels.models.dalec_monthly.parameters import UNKNOWNS
from phloem.kernels.network.set_ups import GROUPS, all_set_ups

GAIN = {"PFT": 0.3, "CLIM": 0.2, "AGE": 0.05, "SOIL": 0.1}


def scores(seed: int, places: int = 0) -> dict:
    rng = np.random.default_rng(seed)
    size = (10, places) if places else (10,)
    return {groups: sum(GAIN[g] for g in groups) + 0.02 * rng.normal(size=size) for groups in all_set_ups()}


def is_drawn(figure: Figure) -> bool:
    return to_png(figure).startswith(b"\x89PNG")


def test_shares_have_a_bar_and_an_interval_for_each_group_and_stream() -> None:
    partitions = [partition_with_intervals(scores(n), stream, draws=100) for n, stream in enumerate(("lai", "sif"))]
    figure = shares_figure(partitions)
    (axes,) = figure.axes
    heights = [bar.get_height() for bar in axes.patches]
    np.testing.assert_allclose(heights, 100 * np.concatenate([one.parts.share for one in partitions]))
    assert len([line for line in axes.lines if len(line.get_xdata()) == 2]) == 2 * 4 + 1
    assert is_drawn(figure)


def test_shares_of_a_stream_that_nothing_explains_are_dashes() -> None:
    nothing = partition_with_intervals({groups: np.zeros(3) for groups in all_set_ups()}, "vod", draws=20)
    (axes,) = shares_figure([nothing]).axes
    assert not axes.patches
    assert [text.get_text() for text in axes.texts] == ["–"] * len(GROUPS)
    with pytest.raises(InputError, match="nothing to draw"):
        shares_figure([])


def test_dominance_draws_every_place_once() -> None:
    places = 60
    rng = np.random.default_rng(0)
    found = scores(0, places)
    found[("AGE",)][:, :5] = np.nan
    dominant = dominance(partition_of_set_ups(found))
    latitude, longitude = rng.uniform(30, 60, places), rng.uniform(-20, 40, places)
    figure = dominance_figure(latitude, longitude, dominant, "lai")
    dots = [one.get_offsets() for one in figure.axes[0].collections if isinstance(one, PathCollection)]
    drawn = np.concatenate([np.asarray(one) for one in dots])
    assert sorted(map(tuple, drawn.tolist())) == sorted(zip(longitude.tolist(), latitude.tolist(), strict=True))
    assert is_drawn(figure)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[0] == "masked 5"
    assert labels[1].startswith("PFT ")
    with pytest.raises(InputError, match="lai: 59 latitudes"):
        dominance_figure(latitude[1:], longitude, dominant, "lai")


def test_errors_have_a_bar_for_each_set_up_and_stream() -> None:
    rng = np.random.default_rng(0)
    of_streams = {
        stream: normalised_errors(
            {groups: rng.uniform(1, 2, 10) for groups in (("PFT",), ("CLIM", "AGE", "SOIL"), tuple(GROUPS))}
        )
        for stream in ("lai", "et", "nbe")
    }
    figure = errors_figure(of_streams)
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    np.testing.assert_allclose(heights, [row.ratio for rows in of_streams.values() for row in rows])
    assert heights[::3] == [1.0] * 3
    assert is_drawn(figure)
    with pytest.raises(InputError, match="same set-ups"):
        errors_figure({**of_streams, "sif": of_streams["lai"][:2]})


def test_sites_are_drawn_apart_by_whether_they_are_held_out() -> None:
    rng = np.random.default_rng(0)
    y = rng.uniform(1, 9, 20) + rng.normal(0, 1, (24, 20))
    found = tower_scores("tower_gpp", [f"s{n}" for n in range(20)], y + 0.5, y, np.arange(20) < 6)
    figure = sites_figure(found, "gC m-2 d-1")
    counts = [len(line.get_xdata()) for line in figure.axes[0].lines[1:]]
    assert counts == [14, 6]
    assert is_drawn(figure)
    none = tower_scores("tower_gpp", [], np.empty((24, 0)), np.empty((24, 0)), [])
    with pytest.raises(InputError, match="no site has enough months"):
        sites_figure(none, "gC m-2 d-1")


def test_the_figure_of_attributions_draws_the_agreement_of_members() -> None:
    middle = np.array([np.sqrt(one.lower * one.upper) for one in UNKNOWNS])
    values = middle * (1 + 0.1 * np.random.default_rng(0).normal(size=(9, 10, 40)))
    assert is_drawn(identifiability_figure(member_agreement(values, ("PFT",)).to_json()))
