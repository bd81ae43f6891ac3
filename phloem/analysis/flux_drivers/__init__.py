"""What models of fluxes follow: importance of predictors and their effects."""
