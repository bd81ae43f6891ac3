"""Training of networks over patches: a run's set-ups side by side, and what is made of the trained ones."""
