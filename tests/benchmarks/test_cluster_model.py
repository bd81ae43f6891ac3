"""The model of a cluster against what can be worked out by hand."""

import dataclasses
import json
import math
import random
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cluster.model import override, summary
from benchmarks.cluster.parts import Outages
from benchmarks.cluster.scenarios import HOUR, SCENARIOS, YEAR, FailureRates, Machine, Policy, Work, daly, young
from benchmarks.cluster.simulation import Simulation

QUIET = Machine(nodes=4, workers=10, queue=0.0, spread=0.0, start=0.0, resume=0.0, commit=0.0, save=0.0, walltime=1e6)
NOTHING = FailureRates()
PATIENT = Policy(budgets={}, isolate={})
WORK = Work(cells=1200, tile=12)


def simulate(work=WORK, machine=QUIET, failures=NOTHING, policy=PATIENT, seed=0, **values):
    return Simulation(*override(values, work, machine, failures, policy), seed=seed).run()


class TestWithoutFailures:
    @pytest.mark.parametrize(("nodes", "tiles"), [(4, 100), (4, 80), (4, 81), (1, 5)])
    def test_makespan_is_that_of_the_waves(self, nodes, tiles):
        found = simulate(cells=12 * tiles, nodes=nodes, local_packages=True, metadata=1e12)
        waves = math.ceil(tiles / (10 * nodes))
        assert found.finished_at == pytest.approx(waves * WORK.seconds(12), rel=1e-9)

    def test_overheads_are_paid_once_a_worker_once_a_tile_and_once_an_interval(self):
        found = simulate(start=9.0, resume=1.0, commit=0.5, save=2.0, checkpoint=2.0, metadata=1e12)
        seconds = WORK.seconds(12)
        each = 1.0 + seconds + 2.0 * (seconds // 120) + 0.5
        assert found.finished_at == pytest.approx(9.0 + math.ceil(100 / 40) * each, rel=1e-6)

    @pytest.mark.parametrize(("tile", "fill"), [(1, 5 / 64), (12, 60 / 64), (13, 65 / 128), (25, 125 / 128), (64, 1.0)])
    def test_padding_is_what_the_blocks_leave_empty(self, tile, fill):
        found = simulate(cells=tile * 40, tile=tile)
        assert found.cost["useful"] / (found.cost["useful"] + found.cost["padding"]) == pytest.approx(fill)

    def test_clean_walltime_loses_nothing_but_restarts(self):
        short = simulate(walltime=(WORK.seconds(12) * 0.7 + 120) / HOUR, metadata=1e12)
        assert short.events["session: walltime"] > 0
        assert short.done == 100
        assert sum(short.lost.values()) == 0

    def test_imports_wait_for_the_metadata_server(self):
        one_wave = {"cells": 480, "metadata": 1000.0}
        shared, local = simulate(**one_wave), simulate(**one_wave, local_packages=True)
        asked = 4 * (3700 + 9 * 1000) / 1000
        assert shared.finished_at - local.finished_at == pytest.approx(asked, rel=0.02)


class TestYoungAndDaly:
    COST, MEAN = 20.0, 4000.0
    WORK = Work(cells=600, tile=1, iterations=400_000)

    def waste(self, minutes):
        """Return core-seconds used per core-second of work, with one worker a node and free restarts."""
        found = simulate(
            self.WORK,
            dataclasses.replace(QUIET, nodes=600, workers=1, save=self.COST, local_packages=True, metadata=1e12),
            FailureRates(node_years=self.MEAN / HOUR / YEAR),
            dataclasses.replace(PATIENT, checkpoint=minutes, lease=0.0),
        )
        assert found.done == 600
        assert found.events["session: node lost"] > 500
        return found.used / (600 * self.WORK.seconds(1))

    @pytest.mark.parametrize("minutes", [2.0, 6.67, 20.0])
    def test_expected_time_is_dalys(self, minutes):
        work = self.WORK.seconds(1)
        assert self.waste(minutes) == pytest.approx(daly(work, 60 * minutes, self.COST, self.MEAN) / work, rel=0.03)

    def test_best_interval_is_youngs(self):
        best = young(self.COST, self.MEAN)
        assert best == pytest.approx(400.0)
        waste = {factor: self.waste(best * factor / 60) for factor in (0.25, 1.0, 4.0)}
        assert waste[1.0] < min(waste[0.25], waste[4.0]) - 0.03


class TestBooks:
    @pytest.mark.parametrize("scenario", ["calm", "typical", "bad"])
    @pytest.mark.parametrize("tile", [1, 13, 51])
    def test_every_tile_ends_once_and_every_second_has_a_name(self, scenario, tile):
        machine, failures = SCENARIOS[scenario]
        found = simulate(Work(cells=1500, tile=tile), dataclasses.replace(machine, nodes=4), failures, Policy())
        assert found.done + found.gave_up.total() == len(found.tiles)
        assert len(found.commits) == found.done
        idle = summary(found)["idle"]
        assert 0 <= idle < 1
        useful = sum(WORK.lane_year * 36 * 25_000 * t.cells * 5 for t in found.tiles)
        assert found.cost["useful"] <= useful * (1 + 4 * machine.spread)

    def test_a_seed_decides_everything(self):
        first, again, other = (simulate(failures=SCENARIOS["bad"][1], policy=Policy(), seed=seed) for seed in (1, 1, 2))
        assert summary(first) == summary(again)
        assert summary(first) != summary(other)

    def test_time_in_an_outage_is_no_working_time(self):
        outages = Outages(FailureRates(outage=1 / 5.0, outage_minutes=60.0), random.Random(0))
        for _, start, length in zip(range(50), outages.starts, outages.lengths, strict=False):
            before = outages.working(start)
            assert outages.working(start + length) == pytest.approx(before)
            assert outages.working(start + length / 2) == pytest.approx(before)
            assert outages.wall(before + 1.0) == pytest.approx(start + length + 1.0)


class TestFailures:
    def test_poison_is_found_and_neighbours_finish(self):
        found = simulate(failures=FailureRates(poison=0.01), policy=Policy())
        assert found.set_aside == sum(len(tile.poison) for tile in found.tiles) > 3
        assert found.gave_up.total() == 0
        assert found.isolated == sum(bool(tile.poison) for tile in found.tiles)

    def test_searching_a_tile_costs_a_block_for_every_part(self):
        child = {"start": 0.0, "hang": 0.0}
        block = WORK.seconds(1)
        assert WORK.apart(0, 12, {}, **child) == (block, block)
        assert WORK.apart(0, 8, {3: (0.0, "bug")}, **child) == pytest.approx((3 * block, block))
        assert WORK.apart(0, 8, {3: (1.0, "bug")}, **child) == pytest.approx((7 * block, 4 * block))

    def test_parts_side_by_side_end_sooner_and_cost_the_same(self):
        failures = FailureRates(poison=0.01)
        one, many = (simulate(failures=failures, policy=Policy(side_by_side=choice)) for choice in (False, True))
        assert many.set_aside == one.set_aside > 3
        assert many.finished_at < one.finished_at - WORK.seconds(12)
        assert many.cost["isolation"] == pytest.approx(one.cost["isolation"], rel=0.01)

    def test_a_node_that_kills_its_workers_is_stopped_by_the_breaker(self):
        bad = FailureRates(bad_nodes=1)
        free, broken = simulate(failures=bad, policy=Policy()), simulate(failures=bad, policy=Policy(breaker=8))
        assert free.events["worker lost"] > 50
        assert free.false_give_ups > 5
        assert broken.events["session: breaker"] == 2
        assert broken.false_give_ups == 0

    def test_losses_with_progress_between_them_count_for_nothing(self):
        long = Work(cells=600, tile=12, iterations=1_000_000)
        failures = FailureRates(worker_lost=2.0)
        kept = simulate(long, failures=failures, policy=Policy(checkpoint=1.0))
        unkept = simulate(long, failures=failures, policy=Policy(checkpoint=600.0))
        assert statistics.fmean(tile.attempts for tile in kept.tiles) > 5
        assert kept.gave_up.total() < unkept.gave_up.total()
        assert unkept.gave_up["worker lost"] > 40


def test_command_line_prints_one_row_a_combination():
    command = [
        sys.executable,
        "-m",
        "benchmarks.cluster.model",
        "--cells",
        "600",
        "--tile",
        "12,25",
        "--checkpoint",
        "5",
    ]
    command += ["--scenario", "calm,bad", "--nodes", "2", "--set", "budgets.bug=3", "--json"]
    root = Path(__file__).parents[2]
    rows = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, cwd=root).stdout)
    assert [(row["scenario"], row["tile"]) for row in rows] == [("calm", 12), ("calm", 25), ("bad", 12), ("bad", 25)]
    assert all(row["done"] + row["given_up"] == row["tiles"] for row in rows)
