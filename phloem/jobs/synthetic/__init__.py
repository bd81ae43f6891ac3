"""Made-up drivers with a known truth: a transect of towers, a boreal domain."""
