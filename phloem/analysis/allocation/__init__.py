"""Allocation of carbon, as land models have it: bounded fractions, emulators, closed budgets."""
