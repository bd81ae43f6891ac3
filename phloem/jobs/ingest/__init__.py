"""From raw products and tables to driver stores and fitted curves."""
