import pytest

from phloem.analysis.report.network_scores import spread, stream_words
from phloem.analysis.report.network_shares import answers, share_text, verdict


def pooled(share: float | None, low: float | None, high: float | None, total: float = 0.6, members: int = 10) -> dict:
    return {
        "total": total,
        "groups": [{"group": "PFT", "share": share, "low": low, "high": high}],
        "scores": [{"members": members}, {"members": 10}],
    }


@pytest.mark.parametrize(
    ("shares", "answer"),
    [
        (pooled(0.7, 0.6, 0.8), "plant type explains more"),
        (pooled(0.3, 0.2, 0.4), "environment explains more"),
        (pooled(0.55, 0.45, 0.65), "undecided, the interval holds one half"),
        (pooled(0.7, 0.6, 0.8, members=3), "plant type explains more (of 3 networks of a set-up only)"),
        (pooled(0.7, None, None, members=1), "plant type, with no interval (one network of a set-up)"),
        (pooled(0.7, 0.6, 0.8, total=0.01), "next to nothing is explained"),
        (pooled(None, None, None), "nothing to share out"),
    ],
)
def test_verdict_goes_no_further_than_the_interval(shares: dict, answer: str) -> None:
    assert verdict(shares) == answer


def test_answers_put_streams_of_one_verdict_together() -> None:
    document = {
        "partition": [
            {"stream": "lai", "pooled": pooled(0.7, 0.6, 0.8)},
            {"stream": "water_storage", "pooled": pooled(0.2, 0.1, 0.3)},
            {"stream": "sif", "pooled": pooled(0.9, 0.8, 1.0)},
            {"stream": "fire", "pooled": None},
        ]
    }
    assert answers(document) == [
        "LAI, SIF: plant type explains more.",
        "water storage: environment explains more.",
    ]
    assert answers({"partition": []}) == ["It cannot be said: no stream's explained variance could be shared out."]


def test_words_of_shares_scores_and_streams() -> None:
    assert share_text(0.423, 0.4, 0.45) == "42 (40 to 45)"
    assert share_text(None, 0.1, 0.2) == "–"
    assert spread({"mean": -0.004, "sd": 0.5}) == "0.00 ± 0.50"
    assert spread({"mean": None, "sd": None}) == "–"
    assert stream_words("tower_gpp") == "tower GPP"
