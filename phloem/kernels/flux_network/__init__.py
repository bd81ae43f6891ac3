"""Networks of carbon and water fluxes with constraints, many lanes at once (uflux.md section 6)."""
