"""merged.nc: written from tiles, and read back."""
