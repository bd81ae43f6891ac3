"""From tiles to merged.nc, and merged.nc read back."""
