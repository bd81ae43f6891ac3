"""One network of an ensemble as fitted beside a fold: its rows, its constants of the baselines, what it predicts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from phloem.analysis.upscaling.baseline_fluxes import BaselineConstants, baseline_fluxes, fit_constants
from phloem.analysis.upscaling.boosted_trees import packed, unpacked
from phloem.analysis.upscaling.conditions import Conditions
from phloem.analysis.upscaling.flux_rows import Columns
from phloem.analysis.upscaling.member_model import Prepared, drawn_rows
from phloem.analysis.upscaling.upscaling_settings import BaselineOptions, UpscalingSettings
from phloem.kernels.flux_network.flux_network_options import FLUX_NAMES, FluxNetworkOptions
from phloem.kernels.flux_network.flux_predictor import predictor_of_flat


@dataclass(frozen=True, eq=False)
class NetworkRows:
    """What one network is fitted to.

    Attributes:
        drawn: rows, bool (rows,).
        constants: of the baselines, fitted to these rows alone.
        baselines: gpp, reco, nee, le with these constants, float64 (rows, 4).
        key: of its first weights and of the towers that watch it, uint32 (2,).
    """

    drawn: np.ndarray
    constants: BaselineConstants
    baselines: np.ndarray
    key: np.ndarray


def network_rows(prepared: Prepared, held: np.ndarray, settings: UpscalingSettings, seed: Sequence[int]) -> NetworkRows:
    """Draw the rows of one network from those that are not held out, and fit the constants of the baselines to them.

    Args:
        prepared: rows and what they share.
        held: bool (rows,), of the fold that is left out.
        settings: what is fitted.
        seed: numbers that name the member.

    Raises:
        InputError: nothing is left to fit to.
    """
    rows = prepared.rows
    source = np.random.SeedSequence([int(number) for number in seed])
    draw = np.random.default_rng(source)
    known = np.any([np.isfinite(rows.observed[flux]) for flux in FLUX_NAMES], axis=0)
    drawn = drawn_rows(rows.site, ~held & known, settings, draw)
    reco = np.where(drawn, rows.observed["reco"], np.nan)
    constants = fit_constants(rows.columns, prepared.conditions, reco, settings.baselines, prepared.factor)
    found = baseline_fluxes(rows.columns, prepared.conditions, constants, settings.baselines)
    key = source.spawn(1)[0].generate_state(2, np.uint32)
    return NetworkRows(drawn, constants, np.stack([found[flux] for flux in FLUX_NAMES], axis=1), key)


@dataclass(frozen=True, eq=False)
class FittedNetworks:
    """Networks of an ensemble, which predict all fluxes at any rows.

    Attributes:
        network: head and activation.
        baselines: choices of the baselines.
        predictors: that the networks see, in their order.
        constants: of the baselines, of each member.
        weights: laid flat, float32 (members, weights).
        statistics: by which predictors and fluxes are standardised, laid flat, (members, numbers).
    """

    network: FluxNetworkOptions
    baselines: BaselineOptions
    predictors: tuple[str, ...]
    constants: tuple[BaselineConstants, ...]
    weights: np.ndarray
    statistics: np.ndarray

    def predict(self, table: np.ndarray, columns: Columns, conditions: Conditions) -> dict[str, np.ndarray]:
        """Return each flux by each member, float64 (members, rows).

        Args:
            table: of the predictors, float32 (rows, predictors), NaN where missing.
            columns: drivers of the rows.
            conditions: of the same rows.
        """
        found = np.empty((len(self.weights), len(table), len(FLUX_NAMES)))
        for member, constants in enumerate(self.constants):
            fluxes = baseline_fluxes(columns, conditions, constants, self.baselines)
            process = np.stack([fluxes[flux] for flux in FLUX_NAMES], axis=1)
            found[member] = self._member(member).predict_prepared(table, process)[0]
        return {flux: found[..., place] for place, flux in enumerate(FLUX_NAMES)}

    def _member(self, member: int) -> FittedNetworks:
        chosen = slice(member, member + 1)
        return replace(
            self, constants=self.constants[chosen], weights=self.weights[chosen], statistics=self.statistics[chosen]
        )

    def predict_prepared(self, table: np.ndarray, baselines: np.ndarray) -> np.ndarray:
        """Return all fluxes by each member, float32 (members, rows, 4), where the baselines are at hand.

        Args:
            table: of the predictors, float32 (rows, predictors).
            baselines: with the constants of the members, which are all the same, (rows, 4).
        """
        return predictor_of_flat(self.network, self.weights, self.statistics).predict(table, baselines)

    def to_bytes(self) -> bytes:
        """Return the networks as bytes that `from_bytes` reads."""
        facts = {
            "network": asdict(self.network), "baselines": asdict(self.baselines), "predictors": self.predictors,
        }  # fmt: skip
        return packed(
            {
                "facts": np.asarray(json.dumps(facts)),
                "constants": np.stack([one.to_array() for one in self.constants]),
                "weights": self.weights,
                "statistics": self.statistics,
            }
        )

    @classmethod
    def from_bytes(cls, saved: bytes) -> FittedNetworks:
        """Return the networks that `to_bytes` returned."""
        arrays: Mapping[str, np.ndarray] = unpacked(saved)
        facts = json.loads(str(arrays["facts"]))
        return cls(
            network=FluxNetworkOptions(**facts["network"]),
            baselines=BaselineOptions(**facts["baselines"]),
            predictors=tuple(facts["predictors"]),
            constants=tuple(BaselineConstants.from_array(one) for one in arrays["constants"]),
            weights=arrays["weights"],
            statistics=arrays["statistics"],
        )

    @classmethod
    def joined(cls, members: Sequence[FittedNetworks]) -> FittedNetworks:
        """Return one ensemble of several; they have the same choices and predictors."""
        first = members[0]
        return cls(
            first.network,
            first.baselines,
            first.predictors,
            tuple(one for member in members for one in member.constants),
            np.concatenate([member.weights for member in members]),
            np.concatenate([member.statistics for member in members]),
        )
