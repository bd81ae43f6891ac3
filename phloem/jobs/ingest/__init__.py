"""Driver stores from raw products, and curves fitted to tables."""
