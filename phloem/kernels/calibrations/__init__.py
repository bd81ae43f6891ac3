"""Calibrations: what a campaign of a model minimises, and the cells as that loss reads them."""
