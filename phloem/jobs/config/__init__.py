"""Configuration files: TOML read into typed trees."""
