"""One member of an ensemble at one fold: its draws, its constants of the baselines, its trees, what it predicts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from phloem.analysis.upscaling import boosted_trees, cascade
from phloem.analysis.upscaling.baseline_fluxes import (
    BaselineConstants,
    fit_constants,
    fixed_baselines,
    reference_respiration,
    respiration_factor,
)
from phloem.analysis.upscaling.conditions import Conditions
from phloem.analysis.upscaling.flux_rows import Columns, FluxRows
from phloem.analysis.upscaling.monotone_directions import directions
from phloem.analysis.upscaling.place_climate import complete_rows
from phloem.analysis.upscaling.predictor_columns import chosen_predictors, predictor_table
from phloem.analysis.upscaling.upscaling_settings import BaselineOptions, UpscalingSettings
from phloem.errors import InputError

FITTED = ("residual", "direct")
"""Ways that have a model of their own; "blend" weighs them."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """Rows with all that no fit changes, computed once for all folds and members.

    Attributes:
        rows: months of towers, with what their places' other months tell.
        conditions: of the rows.
        fixed: baselines without fitted constants: gpp, le, iwue, each float64 (rows,).
        factor: respiration by temperature relative to the reference, (rows,).
        predictors: names of the columns of `table`.
        table: float32 (rows, predictors).
    """

    rows: FluxRows
    conditions: Conditions
    fixed: Mapping[str, np.ndarray]
    factor: np.ndarray
    predictors: tuple[str, ...]
    table: np.ndarray


@dataclass(frozen=True, eq=False)
class MemberModel:
    """A fitted member, which predicts at any rows.

    Attributes:
        flux: gpp, reco, nee or le.
        ways: of `WAYS`, that it predicts.
        predictors: that its trees see, in their order.
        constants: of the baselines.
        options: of the baselines.
        blend: share of "residual" in "blend", 0 to 1; NaN without that way.
        trees: by "residual" and "direct", those that were fitted.
    """

    flux: str
    ways: tuple[str, ...]
    predictors: tuple[str, ...]
    constants: BaselineConstants
    options: BaselineOptions
    blend: float
    trees: Mapping[str, boosted_trees.FittedTrees]

    def predict(
        self, columns: Columns, conditions: Conditions, fixed: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, np.ndarray]:
        """Return the flux by each way, float64 (rows,), in the unit of its observations; negative values stay.

        Args:
            columns: drivers of the rows, with those of `place_climate.complete_rows` where the member sees some.
            conditions: of the same rows.
            fixed: of `fixed_baselines`, where it is at hand.
        """
        fixed = fixed_baselines(columns, conditions, self.options) if fixed is None else fixed
        table = predictor_table(columns, conditions, fixed, self.flux, self.predictors)
        return self.predict_table(table, self.baseline(columns, conditions, fixed))

    def baseline(
        self,
        columns: Columns,
        conditions: Conditions,
        fixed: Mapping[str, np.ndarray],
        factor: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the flux's baseline with the member's constants, float64 (rows,); arguments as `predict`."""
        if self.flux in ("gpp", "le"):
            return fixed[self.flux]
        factor = respiration_factor(conditions, self.options) if factor is None else factor
        reco = reference_respiration(columns, conditions, self.constants) * factor
        return reco if self.flux == "reco" else reco - fixed["gpp"]

    def predict_table(self, table: np.ndarray, baseline: np.ndarray) -> dict[str, np.ndarray]:
        """Return the flux by each way, float64 (rows,).

        Args:
            table: of the member's predictors, float32 (rows, predictors).
            baseline: of the flux, (rows,); where it is missing, so is what builds on it.
        """
        by_way = {way: trees.predict(table).astype(np.float64) for way, trees in self.trees.items()}
        if "residual" in by_way:
            by_way["residual"] = by_way["residual"] + baseline
        if "blend" in self.ways:
            by_way["blend"] = self.blend * by_way["residual"] + (1.0 - self.blend) * by_way["direct"]
        return {way: by_way[way] for way in self.ways}

    def to_bytes(self) -> bytes:
        """Return the member as bytes that `from_bytes` reads."""
        facts = {
            "flux": self.flux,
            "ways": self.ways,
            "predictors": self.predictors,
            "options": asdict(self.options),
        }
        trees = {f"trees_{way}": np.frombuffer(model.to_bytes(), np.uint8) for way, model in self.trees.items()}
        return boosted_trees.packed(
            {
                "facts": np.asarray(json.dumps(facts)),
                "constants": self.constants.to_array(),
                "blend": np.asarray(self.blend),
                **trees,
            }
        )

    @classmethod
    def from_bytes(cls, saved: bytes) -> MemberModel:
        """Return the member that `to_bytes` returned.

        Raises:
            InputError: the bytes are of no member.
        """
        arrays = boosted_trees.unpacked(saved)
        if "facts" not in arrays:
            raise InputError("the saved model is of trees alone, not a member with its baseline")
        facts = json.loads(str(arrays["facts"]))
        return cls(
            flux=facts["flux"],
            ways=tuple(facts["ways"]),
            predictors=tuple(facts["predictors"]),
            constants=BaselineConstants.from_array(arrays["constants"]),
            options=BaselineOptions(**facts["options"]),
            blend=float(arrays["blend"]),
            trees={
                way: boosted_trees.trees_from_bytes(arrays[f"trees_{way}"].tobytes())
                for way in FITTED
                if f"trees_{way}" in arrays
            },
        )


@dataclass(frozen=True, eq=False)
class MemberFit:
    """A member as fitted beside a fold.

    Attributes:
        predicted: by way, float32 (held rows,).
        baseline: with the member's constants, float32 (held rows,).
        blend: share of "residual" in "blend"; NaN without that way.
        loss: mean square error of the last way over rows that were neither drawn nor held out, over their variance; 0
            where there are none.
        model: the member.
    """

    predicted: Mapping[str, np.ndarray]
    baseline: np.ndarray
    blend: float
    loss: float
    model: MemberModel


def prepare(rows: FluxRows, settings: UpscalingSettings) -> Prepared:
    """Compute what all folds and members share.

    Args:
        rows: months of towers; climate and months before are told from all `around` them.
        settings: predictors and baselines.

    Raises:
        InputError: a column is missing, or a predictor is unknown or has no value.
    """
    if rows.around is None:
        complete = complete_rows(rows.columns, rows.site, settings.baselines)
    else:
        complete = complete_rows(rows.around.columns, rows.around.site, settings.baselines).at(rows.around.counted)
    rows = replace(rows, columns=complete.columns)
    names = chosen_predictors(rows.columns, settings.predictors)
    factor = respiration_factor(complete.conditions, settings.baselines)
    table = predictor_table(rows.columns, complete.conditions, complete.fixed, settings.fluxes[0], names)
    valued = np.isfinite(table).any(axis=0)
    if settings.predictors and not valued.all():
        raise InputError(f"predictor {names[int(np.argmin(valued))]!r} has no value in any row")
    names = tuple(name for name, known in zip(names, valued, strict=True) if known)
    return Prepared(rows, complete.conditions, complete.fixed, factor, names, table[:, valued])


def fit_member(
    prepared: Prepared, flux: str, held: np.ndarray, settings: UpscalingSettings, seed: Sequence[int]
) -> MemberFit:
    """Fit a member to a draw of the rows that are not held out, and predict those that are.

    Constants of the baselines are fitted to the drawn rows alone, the weight of the blend to rows that were neither
    drawn nor held out. Depends on rows, settings and seed, on nothing that was fitted before.

    Args:
        prepared: rows and what they share.
        flux: gpp, reco, nee or le.
        held: bool (rows,), of the fold that is left out; none for a member of the final ensemble.
        settings: what is fitted.
        seed: numbers that name the member.

    Raises:
        InputError: nothing is left to fit to.
    """
    rows, observed = prepared.rows, prepared.rows.observed[flux]
    draw = np.random.default_rng(np.random.SeedSequence([int(number) for number in seed]))
    eligible = ~held & np.isfinite(observed)
    if not eligible.any():
        raise InputError(f"no row has {flux} outside of the fold that is left out")
    drawn = drawn_rows(rows.site, eligible, settings, draw)
    count = max(1, round(settings.predictor_share * len(prepared.predictors)))
    chosen = np.sort(draw.choice(len(prepared.predictors), count, replace=False))
    tree_seed = int(draw.integers(2**31))
    model = MemberModel(
        flux=flux,
        ways=settings.ways,
        predictors=tuple(prepared.predictors[i] for i in chosen),
        constants=_constants(prepared, flux, drawn, settings),
        options=settings.baselines,
        blend=np.nan,
        trees={},
    )
    baseline = model.baseline(rows.columns, prepared.conditions, prepared.fixed, prepared.factor)
    model = _with_trees(model, prepared, chosen, drawn, baseline, settings, tree_seed)
    rest = eligible & ~drawn
    if "blend" in settings.ways:
        model = _with_blend(model, prepared.table[rest][:, chosen], baseline[rest], observed[rest])
    predicted = model.predict_table(prepared.table[held][:, chosen], baseline[held])
    by_way = {way: values.astype(np.float32) for way, values in predicted.items()}
    loss = _unseen_error(model, prepared.table[rest][:, chosen], baseline[rest], observed[rest])
    return MemberFit(by_way, baseline[held].astype(np.float32), model.blend, loss, model)


def drawn_rows(
    site: np.ndarray, eligible: np.ndarray, settings: UpscalingSettings, draw: np.random.Generator
) -> np.ndarray:
    """Return the rows that a member is fitted to, bool (rows,): of a share of the towers, or a share of the rows."""
    if settings.draws not in ("tower", "row"):
        raise InputError(f"draws {settings.draws!r} is none of tower, row")
    units = np.unique(site[eligible]) if settings.draws == "tower" else np.flatnonzero(eligible)
    chosen = draw.choice(units, max(1, round(settings.row_share * len(units))), replace=False)
    drawn = np.zeros(len(site), dtype=bool)
    if settings.draws == "tower":
        return np.asarray(eligible & np.isin(site, chosen))
    drawn[chosen] = True
    return drawn


def _constants(prepared: Prepared, flux: str, drawn: np.ndarray, settings: UpscalingSettings) -> BaselineConstants:
    """Fit the constants that the baseline of a flux has to the drawn rows; NaN where it has none or is not needed."""
    options, needed = settings.baselines, settings.ways != ("direct",)
    if flux in ("gpp", "le") or not (needed or "reco" in prepared.rows.observed):
        return BaselineConstants.from_array(np.full(BaselineConstants.LENGTH, np.nan))
    reco = np.where(drawn, prepared.rows.observed["reco"], np.nan)
    return fit_constants(prepared.rows.columns, prepared.conditions, reco, options, prepared.factor)


def _with_trees(
    model: MemberModel,
    prepared: Prepared,
    chosen: np.ndarray,
    drawn: np.ndarray,
    baseline: np.ndarray,
    settings: UpscalingSettings,
    seed: int,
) -> MemberModel:
    """Return the member with its trees fitted to the drawn rows."""
    observed = prepared.rows.observed[model.flux]
    fitted = FITTED if "blend" in settings.ways else tuple(way for way in FITTED if way in settings.ways)
    directed = directions(model.flux, model.predictors) if settings.monotone else None
    based = drawn & np.isfinite(baseline)
    targets = {"residual": (based, observed - baseline), "direct": (drawn, observed)}
    trees: dict[str, boosted_trees.FittedTrees] = {}
    # Rows are cut into bins once where both ways have the same ones.
    together = len(fitted) == 2 and np.array_equal(based, drawn)
    for ways in [fitted] if together else [(way,) for way in fitted]:
        rows = targets[ways[0]][0]
        if not rows.any():
            raise InputError(f"the baseline of {model.flux} has no value in any row: learn 'direct'")
        x, group = prepared.table[rows][:, chosen], prepared.rows.site[rows]
        y = {way: targets[way][1][rows] for way in ways}
        if settings.learner == "cascade":
            trees |= {way: cascade.fit_cascade(x, y[way], group, settings.trees, seed, directed) for way in ways}
        else:
            trees |= boosted_trees.fit_each(x, y, settings.trees, settings.learner, seed, directed)
    return replace(model, trees=trees)


def _with_blend(model: MemberModel, table: np.ndarray, baseline: np.ndarray, observed: np.ndarray) -> MemberModel:
    """Return the member with the share of "residual" that fits rows best which it was not fitted to.

    Least squares, clipped to 0..1; half where there are no such rows or the ways do not differ.
    """
    both = replace(model, ways=FITTED).predict_table(table, baseline)
    apart = both["residual"] - both["direct"]
    known = np.isfinite(apart)
    square = float(apart[known] @ apart[known])
    share = 0.5 if square == 0.0 else float(apart[known] @ (observed - both["direct"])[known]) / square
    return replace(model, blend=float(np.clip(share, 0.0, 1.0)))


def _unseen_error(model: MemberModel, table: np.ndarray, baseline: np.ndarray, observed: np.ndarray) -> float:
    """Return the error of a member's last way at rows that it was not fitted to, over their variance."""
    if not len(observed):
        return 0.0
    predicted = model.predict_table(table, baseline)[model.ways[-1]]
    known = np.isfinite(predicted)
    variance = float(np.var(observed[known])) if known.any() else 0.0
    return float(np.mean((predicted - observed)[known] ** 2)) / variance if variance else 0.0
