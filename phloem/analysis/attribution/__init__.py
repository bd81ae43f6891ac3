"""Drivers of the parameters: boosting, SHAP, noise floor, dependence, partition (attribution.md)."""
