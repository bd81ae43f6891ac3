"""Names that files, tables and scripts share: other programs rely on them, they stay."""

FORCING = ("tasmin", "tasmax", "rsds", "co2", "vpd", "pr")
"""Daily forcing of a cell: degC, degC, MJ m-2 d-1, umol mol-1, hPa, mm d-1."""

STREAMS = ("gpp", "reco", "et", "lai")
"""Observed streams of the site objective: gC m-2 d-1, gC m-2 d-1, mm d-1, m2 m-2."""

WINDOW_MEANS = ("reco",)
"""Streams that are compared as means over windows of days, where neither store nor campaign says otherwise."""

ALL_STREAMS = (*STREAMS, "biomass")
"""Streams of the grid experiments; biomass is that of labile, foliage, roots and wood together, gC m-2."""

PERIOD = 365.25
"""Days of a year: the phenological period, and what a year is in units and in counts of years."""

STATUS = {
    "calibrated": 0,
    "calibrated_after_redraw": 1,
    "diverged": 2,
    "missing": 3,
    "set_aside": 4,
    "poor_basin": 5,
    "dead_stand": 6,
    "budget": 7,
}
"""What became of a lane. `missing` appears only where holes were asked for; `set_aside` are the lanes of a cell whose
computation crashes, hangs or takes all memory whenever it is tried alone. `poor_basin` ended more than POOR_BASIN_GAP
above its cell's best lane; `dead_stand` ends with a year in which its foliage never left its floor; `budget` came to
the end of its steps while its loss still fell."""

POOR_BASIN_GAP = 0.1
"""Loss by which a lane may end above its cell's best and still count, 1."""

NEAR_BOUND = 0.01
"""Share of a range of logarithms within which a value stands at its bound, 1."""

CELL_STATUS = {
    "all_calibrated": 0,
    "some_calibrated": 1,
    "too_few_calibrated": 2,
    "none_calibrated": 3,
    "set_aside": 4,
    "missing": 5,
}
"""What became of the members of a cell, for a map: `too_few_calibrated` are not all members and fewer than a median
needs; `set_aside` is a cell without any calibrated member whose computation was given up; `missing` is a hole that was
asked for."""

STOP = {"none": 0, "converged": 1, "budget": 2, "stalled": 3, "failed": 4}
"""Why the optimiser left a lane: the loss fell by less than the tolerance; all steps of its schedule or budget are
taken; no step from there lowers the loss; not even the last new start had a finite loss. `none` is a lane that was not
calibrated."""

PREDICTOR_GROUPS: dict[str, tuple[str, ...]] = {
    "PFT": ("NF", "DBF", "EBF", "MF", "SH", "SAV", "GRA", "WET", "CRO", "NVG"),
    "CLIM": ("MAT", "MAP", "elevation"),
    "AGE": ("canopy_height", "forest_age"),
    "SOIL": ("bulk_density", "sand", "silt", "clay", "gravel"),
}
"""Groups of predictors of a network, in the order of their columns: shares of plant types in per cent, degC, mm yr-1,
m, m, yr, g cm-3, per cent."""

PREDICTORS = tuple(name for group in PREDICTOR_GROUPS.values() for name in group)

PATCH_FORCING = ("tasmin", "tasmax", "rsds", "vpd", "pr", "burned_area")
"""Monthly forcing that differs from cell to cell: degC, degC, MJ m-2 d-1, hPa, mm d-1, share of the cell a month."""

PATCH_STREAMS = ("nbe", "water_storage")
"""Labels of a whole patch and month; the others are of each cell (`io.patches.stored_patch.UNITS`)."""

STATIC_STREAMS = ("soil_carbon",)
"""Labels of each cell, the same in all months."""
