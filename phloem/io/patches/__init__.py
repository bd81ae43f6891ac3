"""Patches: cells of boxes with predictors, monthly forcing and labels, as trainings read them."""
