"""Causes of fluxes, mass checks and biomass of upscaled products, as files."""
