import numpy as np
import pytest

from phloem.analysis.network.score_figures import (
    compared_shares_figure,
    learning_curves_figure,
    set_up_scores_figure,
)
from phloem.analysis.style.plot_style import to_png
from phloem.errors import InputError


def texts(figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_scores_figure_writes_each_score_and_a_dash_where_there_is_none() -> None:
    scores = {"PFT": {"lai": 0.5, "et": -2e6}, "PFT+CLIM": {"lai": np.nan, "et": 0.25}}
    figure = set_up_scores_figure(scores, "NSE", {"lai": 0.9})
    assert texts(figure) == ["0.90", "–", "0.50", "< −10", "–", "0.25"]
    assert to_png(figure).startswith(b"\x89PNG")


def test_scores_figure_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="nothing to draw"):
        set_up_scores_figure({"PFT": {}}, "NSE")


def test_learning_curves_leave_out_networks_that_were_not_trained() -> None:
    losses = np.array([[[4.0, 2.0, 1.0], [np.nan] * 3]])
    dev = np.array([[[3.0, 2.0], [np.nan] * 2]])
    figure = learning_curves_figure(["PFT"], losses, dev, np.array([1, 3]), (2, 1))
    lines = figure.axes[0].get_lines()
    assert len(lines) == 2
    np.testing.assert_allclose(lines[0].get_ydata(), [2.0, 1.0, 0.5])
    np.testing.assert_allclose(lines[1].get_ydata(), [3.0, 2.0])
    assert "mathdefault" not in "".join(label.get_text() for label in figure.axes[0].get_yticklabels())


def test_compared_shares_are_in_per_cent_with_intervals_where_they_are_known() -> None:
    rows = [
        {"stream": "lai", "training": "a", "share": 0.4, "low": 0.3, "high": 0.5},
        {"stream": "lai", "training": "b", "share": 0.6, "low": None, "high": None},
        {"stream": "et", "training": "a", "share": None, "low": None, "high": None},
    ]
    figure = compared_shares_figure(rows)
    heights = [tuple(line.get_ydata()) for line in figure.axes[0].get_lines()]
    assert [tuple(np.round(one, 6)) for one in heights[:3]] == [(40.0,), (30.0, 50.0), (60.0,)]
    with pytest.raises(InputError, match="no shares"):
        compared_shares_figure([])
