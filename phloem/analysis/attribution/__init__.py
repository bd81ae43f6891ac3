"""Drivers of the parameters: boosting, SHAP, noise floor, dependence, partition (docs/attribution.md)."""
