"""Trained spatialisation networks as functions: Shapley values, trait-environment curves, changed climates."""
