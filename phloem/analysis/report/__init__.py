"""The page of a campaign: its sections, tables, maps and files."""
