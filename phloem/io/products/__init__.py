"""Raw products of other people: their layouts, units, times, and series on the cells of a store."""
