"""A synthetic Earth with a known truth, as a patch store."""
