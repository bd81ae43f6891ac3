"""What drives fluxes: networks of correlations and effects, and the mass balance of products."""
