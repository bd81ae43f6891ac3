"""The section of a training's report on scores: set-ups and streams, errors beside plant types alone, towers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from phloem.analysis.network.score_files import COMPARED, RESULT
from phloem.analysis.report.files import DATA, FIGURES, ReportFiles, image
from phloem.analysis.report.sections import ReportSection, refuse_malformed, render
from phloem.analysis.style.wording import fixed, number

ABBREVIATIONS = ("sif", "nbe", "lai", "et", "vod", "gpp", "reco")

LARGE = 100.0
"""Scores from here on are written with fewer digits."""

MAX_SET_UPS = 4
"""Set-ups that the table has where those of the paper are not there."""


def shown_set_ups(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the set-ups of a table: those of the paper, else the first and those that see most."""
    named = {frozenset(one["set_up"].split("+")): one for one in document["set_ups"]}
    chosen = [named[key] for name in COMPARED if (key := frozenset(name.split("+"))) in named]
    if len(chosen) > 1:
        return chosen
    ordered = sorted(document["set_ups"], key=lambda one: len(one["set_up"].split("+")))
    return ordered[:1] + ordered[1:][-(MAX_SET_UPS - 1) :]


def picture(folder: Path, name: str, words: str, files: ReportFiles, lead: str) -> Markup | None:
    """Take a figure over from a folder into the page; None where it is not there."""
    path = folder / name
    if not path.is_file():
        return None
    png = path.read_bytes()
    files.keep(FIGURES, f"{lead}_{name}", png)
    return image(png, words)


def scores_section(found: tuple[Path, Mapping[str, Any]] | None, files: ReportFiles) -> ReportSection:
    """Return the section.

    Args:
        found: folder of the benchmark and its benchmark.json; None where there is none.
        files: takes figures and the table.

    Raises:
        WorkError: the benchmark is not what `phloem benchmark` writes.
    """
    title = "Scores of held-out patches"
    if found is None:
        return ReportSection("scores", title, render("network_scores.html", refused=True), warn=True)
    folder, document = found
    with refuse_malformed(folder / RESULT, "benchmark"):
        if (folder / "scores.csv").is_file():
            files.keep(DATA, "network_scores.csv", (folder / "scores.csv").read_bytes())
        shown = shown_set_ups(document)
        ceiling = document["ceiling"]
        widest = max(document["set_ups"], key=lambda one: len(one["set_up"].split("+")))
        pictures = [
            picture(folder, f"{stream}.png", f"means of sites, {stream}", files, "benchmark")
            for stream in widest["towers"]
        ]
        choice = document["choice"]
        part = {"test": "held-out", "dev": "dev", "train": "training"}[choice["part"]]
        networks = "the networks that count" if choice["members"] == "kept" else "all trained networks"
        body = render(
            "network_scores.html",
            refused=False,
            intro=f"{document['patches']} {part} patches, {document['cells']:,} cells, {document['months']} months "
            f"(the first {choice['warm_up']} are left out), {networks}."
            + (f" Each network on its own of {document['folds']} parts, pooled." if document["folds"] else ""),
            picture=picture(folder, "scores.png", "NSE of every set-up and stream", files, "benchmark"),
            ceiling=bool(ceiling),
            rows=list(_rows(document, shown)),
            errors=picture(folder, "errors.png", "errors of set-ups over that of PFT", files, "benchmark"),
            towers=list(_towers(shown)),
            tower_pictures=[one for one in pictures if one],
            least=next((one["least_months"] for row in shown for one in row["towers"].values()), 12),
        )
    return ReportSection("scores", title if part == "held-out" else f"Scores of {part} patches", body,
                         warn=part != "held-out")  # fmt: skip


def _rows(document: Mapping[str, Any], shown: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    ceiling = document["ceiling"] or {}
    ratios = {
        (stream, frozenset(row["groups"])): row["ratio"] for stream, rows in document["errors"].items() for row in rows
    }
    for stream in dict.fromkeys(name for one in shown for name in one["streams"]):
        for one in shown:
            found = one["streams"].get(stream)
            if found is None:
                continue
            members, ensemble = found["members"], found["ensemble"]
            yield {
                "stream": stream_words(stream),
                "trained_on": stream in document["trained_on"],
                "set_up": one["set_up"],
                "pairs": f"{found['pairs']:,}",
                "ceiling": _text(ceiling.get(stream)),
                "nse": spread(members["pooled"]["nse"]),
                "ensemble": _text(ensemble["pooled"]["nse"]),
                "r2": spread(members["pooled"]["r2_pearson"]),
                "mae": "–" if (mae := members["pooled"]["mae"]["mean"]) is None else number(mae),
                "ratio": _text(ratios.get((stream, frozenset(one["set_up"].split("+"))))),
                "spatial": spread(members["spatial"]["nse"]),
                "years": spread(members["interannual"]["r2_pearson"]),
            }


def _towers(shown: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    for one in shown:
        for stream, towers in one["towers"].items():
            each = list(zip(*towers["r_of_each"], strict=True))
            r = [_with_range(towers[key]["r"], values) for key, values in zip(("all", "held_out"), each, strict=True)]
            counts = [str(towers[key]["pairs"]) for key in ("all", "held_out")]
            yield [stream_words(stream), one["set_up"], counts[0], r[0], counts[1], r[1],
                   str(len(towers["too_short"]))]  # fmt: skip


def _with_range(value: float | None, each: Sequence[float | None]) -> str:
    known = [one for one in each if one is not None]
    if value is None:
        return "–"
    return (
        f"{fixed(value, 2)} ({fixed(min(known), 2)} to {fixed(max(known), 2)})" if len(known) > 1 else fixed(value, 2)
    )


def stream_words(stream: str) -> str:
    """Write the name of a stream in words, abbreviations in capitals."""
    return " ".join(word.upper() if word in ABBREVIATIONS else word for word in stream.split("_"))


def spread(found: Mapping[str, float | None]) -> str:
    """Write a mean with its standard deviation, where there is one."""
    return _text(found["mean"]) + ("" if found["sd"] is None or found["mean"] is None else f" ± {_text(found['sd'])}")


def _text(value: float | None) -> str:
    if value is None:
        return "–"
    return fixed(value, 2) if abs(value) < LARGE else number(value, 3)
