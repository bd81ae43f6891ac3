"""Calibration of cells: the lanes of a tile, from their start to the arrays of its file."""
