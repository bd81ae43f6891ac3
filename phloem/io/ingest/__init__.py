"""What an ingest writes and checks: the domain, records of cells, plausibility, the folder."""
