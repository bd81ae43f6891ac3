"""Simulations of finished campaigns: fluxes and pools of cells and members, with the same drivers or with others."""
