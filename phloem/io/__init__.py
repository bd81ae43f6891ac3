"""Files: drivers, driver stores, tile files, checkpoints, journals, merged products, references; no JAX."""
