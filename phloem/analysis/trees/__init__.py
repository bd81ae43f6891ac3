"""Gradient-boosted trees, shared by attribution and whoever else fits trees."""
