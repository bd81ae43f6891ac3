"""Calibration of the daily DALEC at towers and in grid cells (docs/science.md)."""
