"""Raw published products: their layouts, units, times, and series on the cells of a store."""
