"""Towers as patches: those near each other together."""
