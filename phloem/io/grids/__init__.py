"""Regular grids: cells in their places, and the grid of a file."""
