"""Parts of an ingest: the domain, records of cells, plausibility, the folder."""
