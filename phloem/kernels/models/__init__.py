"""Model texts: tables of parameters and pools, and pure functions of scalars for one step."""
