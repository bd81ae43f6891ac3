"""Drivers and observations of a cell: variables, tower files, the driver store, quality control."""
