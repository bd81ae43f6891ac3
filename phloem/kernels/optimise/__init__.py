"""How lanes are calibrated: their state, Adam, windowed BFGS, and initial pools."""
