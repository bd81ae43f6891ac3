"""Models of fluxes applied to any place, and totals of what they give."""
