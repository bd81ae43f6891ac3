"""Files that are whole or not there: atomic writes, sealed JSON, NetCDF, journals, CSV tables, units."""
