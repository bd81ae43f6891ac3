"""Optimisers compared on lanes of real towers."""
