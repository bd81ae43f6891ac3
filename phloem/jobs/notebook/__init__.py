"""What `import phloem` offers in a notebook: campaigns opened and run, single cells simulated and scored, as xarray."""
