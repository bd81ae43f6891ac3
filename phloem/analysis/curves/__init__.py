"""Curves fitted to tables: growth curves and the leaf economics line."""
