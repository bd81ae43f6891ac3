"""Input of the report: a checked view of the merged product, cells by quantity, packed layers."""
