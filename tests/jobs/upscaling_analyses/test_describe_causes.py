"""Causes of regions as files: the document, its figures, and what is left out or refused."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from phloem.analysis.causes.causal_graph import climate_flux_graph, graph_of_arcs
from phloem.analysis.causes.copula_network import assemble_network
from phloem.analysis.causes.driver_series import DriverSeries
from phloem.analysis.upscaling.flux_rows import FluxRows
from phloem.errors import InputError
from phloem.io.flux_towers.tower_months import TowerMonths
from phloem.jobs.upscaling_analyses.describe_causes import CauseSettings, describe_causes, write_causes

QUICK = CauseSettings(draws=40, posterior_draws=200)
MONTHS = np.arange("2001-01", "2011-01", dtype="datetime64[M]")


def towers(*, without: tuple[str, ...] = (), constant: tuple[str, ...] = ()) -> TowerMonths:
    """Two towers in Europe and one in Africa, driven by a known network."""
    graph = climate_flux_graph()
    rng = np.random.default_rng(1)
    network = assemble_network(graph, {arc: float(rng.uniform(0.1, 0.6)) for arc in graph.arcs})
    drawn = network.sample(3 * len(MONTHS), rng).reshape(3, len(MONTHS), -1)
    values = {name: drawn[..., n] for n, name in enumerate(graph.nodes) if name != "NEP"}
    values["NEE"] = -drawn[..., graph.nodes.index("NEP")]
    values |= {name: np.full((3, len(MONTHS)), np.nan) for name in without}
    values |= {name: np.full((3, len(MONTHS)), 400.0) for name in constant}
    return TowerMonths(
        ("DE-A", "FR-B", "ZA-C"),
        MONTHS,
        values,
        {"lat": np.array([50.0, 47.0, -25.0]), "lon": np.array([10.0, 2.0, 31.0]), "koppen": np.full(3, 3.0)},
        ("DBF", "ENF", "SAV"),
    )


def test_a_region_is_described_by_arcs_with_headline_intervals_and_effects(tmp_path: Path) -> None:
    document = describe_causes(tmp_path / "causes", towers(), ("Europe",), QUICK)
    held = json.loads((tmp_path / "causes/causes.json").read_text())
    assert held == document
    assert document["headline"] == "rank_correlation"
    (region,) = document["regions"]
    assert (region["region"], region["places"], region["months"]) == ("Europe", 2, 120)
    assert (region["first"], region["last"]) == ("2001-01", "2010-12")
    assert len(region["arcs"]) == 24
    for arc in region["arcs"]:
        assert -1 <= arc["low"] <= arc["high"] <= 1
        assert arc["direct"]["low"] <= arc["direct"]["mean"] <= arc["direct"]["high"]
    swin = next(arc for arc in region["arcs"] if (arc["parent"], arc["child"]) == ("SWIN", "TA"))
    assert swin["rank_correlation"] == pytest.approx(swin["conditional_rank_correlation"], abs=1e-6)
    assert len(region["printed"]["effects"]) == 15
    assert set(region["printed"]["mean_absolute_difference"]) == {"rank_correlation", "direct", "total"}


def test_each_region_has_a_figure_that_stands_alone(tmp_path: Path) -> None:
    document = describe_causes(tmp_path, towers(), ("Europe", "Africa"), QUICK)
    assert [one["figure"] for one in document["regions"]] == ["causes.svg", "causes_africa.svg"]
    for name in ("causes", "causes_africa"):
        root = ET.fromstring((tmp_path / f"{name}.svg").read_text())
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        words = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
        assert {"SWIN", "TA", "GPP", "NEP"} <= words
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert "printed" not in document["regions"][1]


def test_a_node_without_values_is_left_out_and_said(tmp_path: Path) -> None:
    document = describe_causes(tmp_path, towers(without=("TS",)), ("Europe",), QUICK)
    assert "TS" not in document["regions"][0]["graph"]
    assert "no values of TS: left out" in document["regions"][0]["notes"]


def test_rows_of_a_campaign_give_what_their_table_gives(tmp_path: Path) -> None:
    table = towers()
    shape = table.values["TA"].shape
    columns = {name: values.reshape(-1) for name, values in table.values.items() if name not in ("GPP", "RECO", "NEE")}
    columns |= {name: np.repeat(values, shape[1]) for name, values in table.of_site.items()}
    columns["month"] = np.tile(MONTHS.astype(float), shape[0])
    observed = {name.lower(): table.values[name].reshape(-1) for name in ("GPP", "RECO", "NEE")}
    rows = FluxRows(table.sites, np.repeat(np.arange(3), shape[1]), columns, observed)
    assert describe_causes(tmp_path / "a", rows, ("Europe",), QUICK) == describe_causes(
        tmp_path / "b", table, ("Europe",), QUICK
    )


def test_a_region_without_towers_is_left_out_with_its_reason(tmp_path: Path) -> None:
    document = describe_causes(tmp_path, towers(), ("Europe", "Oceania"), QUICK)
    assert len(document["regions"]) == 1
    assert "Oceania: no tower" in document["left_out"][0]


def test_nothing_is_written_where_nothing_can_be_described(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no causal network: Europe: CO2 is constant over 120 months"):
        describe_causes(tmp_path / "out", towers(constant=("CO2",)), ("Europe",), QUICK)
    assert not (tmp_path / "out").exists()


def test_a_users_graph_and_series_without_season_are_described(tmp_path: Path) -> None:
    graph = graph_of_arcs([("TA", "GPP"), ("VPD", "GPP"), ("GPP", "RECO")])
    document = describe_causes(tmp_path, towers(), ("Europe",), CauseSettings(graph, deseasonalise=True, draws=30))
    assert document["deseasonalised"] is True
    arcs = [(arc["parent"], arc["child"]) for arc in document["regions"][0]["arcs"]]
    assert set(arcs) == {("TA", "GPP"), ("VPD", "GPP"), ("GPP", "RECO")}
    total = {(one["ancestor"], one["descendant"]) for one in document["regions"][0]["total_effects"]}
    assert ("TA", "RECO") in total
    with pytest.raises(InputError, match="node WIND: no column"):
        describe_causes(tmp_path, towers(), ("Europe",), CauseSettings(graph_of_arcs([("WIND", "GPP")])))


def test_series_of_a_grid_are_described_as_those_of_towers(tmp_path: Path) -> None:
    graph = climate_flux_graph(("SWIN", "TA"), ("GPP",))
    drawn = assemble_network(graph, dict.fromkeys(graph.arcs, 0.5)).sample(120, np.random.default_rng(0))
    series = DriverSeries(graph.nodes, np.arange(120), drawn, "Asia", 4000)
    document = write_causes(tmp_path, [series], QUICK)
    assert document["regions"][0]["places"] == 4000
    assert len(document["regions"][0]["arcs"]) == 3


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        describe_causes(tmp_path / name, towers(), ("Europe",), QUICK)
    for file in ("causes.json", "causes.svg", "causes.png"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
