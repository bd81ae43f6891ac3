"""Tests mirror the parts: tests/<part>/<room>/test_<module>.py; what they share is in tests/support."""
