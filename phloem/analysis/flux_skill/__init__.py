"""Skill of models of fluxes: scores by group, intervals that hold what they say, where there are towers like it."""
