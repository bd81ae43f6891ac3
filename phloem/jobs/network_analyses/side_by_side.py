"""Several trainings side by side, as of other labels: scores and shares of explained variance, and what differs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from phloem.analysis.attribution.result_files import plain, to_csv
from phloem.analysis.network.score_figures import compared_shares_figure
from phloem.analysis.style.plot_style import to_png
from phloem.analysis.style.wording import fixed
from phloem.errors import InputError, unreadable
from phloem.io.files.whole_folder import check_replaceable, whole_folder
from phloem.jobs.campaign.campaign import Campaign, open_campaign
from phloem.jobs.network.training_units import table_of
from phloem.jobs.network_analyses.attribute import FOLDER as ATTRIBUTION
from phloem.jobs.network_analyses.attribute import see_to_scores
from phloem.jobs.network_analyses.attribution_files import RESULT as SHARES
from phloem.version import VERSION

FOLDER = "comparison"
RESULT = "comparison.json"
METRICS = ("nse", "r2_pearson", "mae")
MAX_SET_UPS = 4


def compare_trainings(
    campaign: Campaign,
    against: Sequence[Path],
    out: Path | None = None,
    config: Path | None = None,
    assignments: Sequence[str] = (),
) -> dict[str, Any]:
    """Put the scores and shares of trainings side by side; those not scored yet are, shares are those that are there.

    Args:
        campaign: the first.
        against: directories of the others.
        out: folder to write, replaced as a whole; by default DIR/comparison.
        config: none: each campaign has its own benchmark.
        assignments: none, likewise.

    Returns:
        What comparison.json holds, and `folder`.

    Raises:
        InputError: a directory without a training, a training against itself, or choices of a benchmark.
        WorkError: tiles without result.
    """
    if config is not None or assignments:
        raise InputError(
            "--against shows benchmarks as they are: `phloem benchmark DIR` with --config or --set makes each anew"
        )
    folder = out or campaign.paths.root / FOLDER
    check_replaceable(folder, RESULT)
    campaigns = [campaign, *(open_campaign(Path(one)) for one in against)]
    roots = [one.paths.root.resolve() for one in campaigns]
    if len(set(roots)) < len(roots):
        raise InputError(f"--against: {next(str(one) for one in roots if roots.count(one) > 1)} is named twice")
    for one in campaigns:
        table_of(one.configuration)
    names = _names(campaigns)
    scores = [see_to_scores(one)[1] for one in campaigns]
    shares = [_read_shares(one) for one in campaigns]
    document: dict[str, Any] = plain(
        {
            "version": VERSION,
            "campaigns": [
                {"name": name, "directory": str(one.paths.root), "left_out": document["left_out"],
                 "patches_sha256": document["patches_sha256"], "choice": document["choice"],
                 "has_shares": found is not None}
                for name, one, document, found in zip(names, campaigns, scores, shares, strict=True)
            ],
            "differences": _differences(names, campaigns, scores),
            "warnings": _warnings(scores),
            "scores": list(_scores(names, scores)),
            "shares": list(_shares(names, shares)),
        }
    )  # fmt: skip
    with whole_folder(folder) as draft:
        (draft / "scores.csv").write_bytes(to_csv(document["scores"]))
        if document["shares"]:
            (draft / "shares.csv").write_bytes(to_csv(document["shares"]))
            figure = compared_shares_figure([row for row in document["shares"] if row["group"] == "PFT"])
            (draft / "shares.png").write_bytes(to_png(figure, dpi=150))
        text = json.dumps(document, indent=1, allow_nan=False) + "\n"
        (draft / RESULT).write_text(text, encoding="utf-8")
    return {"folder": str(folder), **document}


def _names(campaigns: Sequence[Campaign]) -> list[str]:
    """Names of campaigns, with their directories where two have the same."""
    names = [one.configuration.campaign.name for one in campaigns]
    return [
        name if names.count(name) == 1 else f"{name} ({one.paths.root})"
        for name, one in zip(names, campaigns, strict=True)
    ]


def _read_shares(campaign: Campaign) -> dict[str, Any] | None:
    path = campaign.paths.root / ATTRIBUTION / SHARES
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(document["partition"], list):
            return dict(document)
        raise ValueError("its partition is no list")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unreadable(path, error, f"phloem attribute {campaign.paths.root}") from error


def _differences(
    names: Sequence[str], campaigns: Sequence[Campaign], scores: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return every key in which the trainings differ, with the value of each."""
    flat = [dict(_flat("experiment", table_of(one.configuration).model_dump())) for one in campaigns]
    for one, document, keys in zip(campaigns, scores, flat, strict=True):
        keys["campaign.seed"] = one.configuration.campaign.seed
        keys["campaign.members"] = one.configuration.campaign.members
        keys["patches"] = document["patches_sha256"][:12]
        keys |= dict(_flat("benchmark", document["choice"]))
    every = dict.fromkeys(key for keys in flat for key in keys)
    return [
        {"key": key, "values": {name: keys.get(key) for name, keys in zip(names, flat, strict=True)}}
        for key in every
        if any(keys.get(key) != flat[0].get(key) for keys in flat)
    ]


def _flat(prefix: str, tree: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}.{key}", value)
        else:
            yield f"{prefix}.{key}", value


def _warnings(scores: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return why scores of one are not those of another."""
    found = []
    if len({one["scored_patches_sha256"] for one in scores}) > 1:
        found.append("the trainings were scored on different patches: scores differ by that too")
    if len({one["patches_sha256"] for one in scores}) > 1:
        found.append(
            "the patch stores differ: each training is scored against its own store's labels, and a stream's scores "
            "tell how well those labels are met, not which labels are right"
        )
    if len({json.dumps(one["choice"], sort_keys=True) for one in scores}) > 1:
        found.append("the benchmarks have different choices (part, months, networks)")
    return found


def _scores(names: Sequence[str], scores: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows of a stream, set-up and training: pooled scores, mean and standard deviation over the networks."""
    by_set_up = [{frozenset(one["set_up"].split("+")): one for one in document["set_ups"]} for document in scores]
    titles = {groups: one["set_up"] for known in reversed(by_set_up) for groups, one in known.items()}
    streams = dict.fromkeys(stream for document in scores for one in document["set_ups"] for stream in one["streams"])
    for stream in streams:
        for groups, title in titles.items():
            for name, document, known in zip(names, scores, by_set_up, strict=True):
                levels = known.get(groups, {}).get("streams", {}).get(stream)
                pooled = levels["members"]["pooled"] if levels else {}
                row: dict[str, Any] = {"stream": stream, "set_up": title, "training": name}
                row["trained_on_stream"] = stream in document["trained_on"]
                row["pairs"] = levels["pairs"] if levels else None
                for metric in METRICS:
                    one = pooled.get(metric) or {}
                    row |= {metric: one.get("mean"), f"{metric}_sd": one.get("sd")}
                yield row


def _shares(names: Sequence[str], shares: Sequence[Mapping[str, Any] | None]) -> Iterator[dict[str, Any]]:
    """Rows of a stream, group and training that has shares."""
    streams = dict.fromkeys(one["stream"] for document in shares if document for one in document["partition"])
    for stream in streams:
        for name, document in zip(names, shares, strict=True):
            parts = document["partition"] if document else []
            found = next((one for one in parts if one["stream"] == stream), None)
            if found is None or found["pooled"] is None:
                continue
            led = {row["group"]: row["fraction"] for row in (found["by_place"] or {"groups": []})["groups"]}
            for row in found["pooled"]["groups"]:
                yield {
                    "stream": stream, "training": name, "group": row["group"], "total": found["pooled"]["total"],
                    "share": row["share"], "low": row["low"], "high": row["high"],
                    "places_led": led.get(row["group"]),
                }  # fmt: skip


def describe_comparison(document: Mapping[str, Any]) -> list[str]:
    """Return lines for people of what `compare_trainings` returns."""
    names = [one["name"] for one in document["campaigns"]]
    lines = [f"side by side: {', '.join(names)}"]
    for one in document["differences"]:
        lines.append(f"  {one['key']}: " + "; ".join(f"{name} {value}" for name, value in one["values"].items()))
    lines += [f"warning: {line}" for line in document["warnings"]]
    width = max(12, *(len(name) + 2 for name in names))
    lines.append(f"{'NSE of all pairs':38}" + "".join(f"{name:>{width}}" for name in names))
    rows: dict[tuple[str, str], dict[str, float | None]] = {}
    for row in document["scores"]:
        rows.setdefault((row["stream"], row["set_up"]), {})[row["training"]] = row["nse"]
    shown = sorted({set_up for _, set_up in rows}, key=lambda name: (-len(name.split("+")), name))[:MAX_SET_UPS]
    for (stream, set_up), values in rows.items():
        if set_up in shown:
            lines.append(f"{stream:16}{set_up:22}" + "".join(_cell(values.get(name), width) for name in names))
    shares = [row for row in document["shares"] if row["group"] == "PFT"]
    if shares:
        lines.append(f"{'share of PFT, %':38}" + "".join(f"{name:>{width}}" for name in names))
        for stream in dict.fromkeys(row["stream"] for row in shares):
            found = {row["training"]: row["share"] for row in shares if row["stream"] == stream}
            values = {name: None if value is None else 100 * value for name, value in found.items()}
            lines.append(f"{stream:38}" + "".join(_cell(values.get(name), width, 0) for name in names))
    without = [one["name"] for one in document["campaigns"] if not one["has_shares"]]
    if without:
        lines.append(f"no shares of {', '.join(without)}: phloem attribute DIR makes them")
    lines.append(f"written: {document['folder']}")
    return lines


def _cell(value: float | None, width: int, decimals: int = 3) -> str:
    return f"{'–' if value is None else fixed(value, decimals):>{width}}"
