"""What the report reads: a checked view of the merged product, cells by quantity, packed layers."""
