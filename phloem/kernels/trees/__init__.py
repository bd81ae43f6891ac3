"""Boosted trees applied to very many rows."""
