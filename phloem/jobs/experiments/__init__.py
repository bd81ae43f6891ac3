"""The three experiments over one driver store, forward runs, the demo."""
