"""The daily eight-pool DALEC (dalec_daily.md)."""
