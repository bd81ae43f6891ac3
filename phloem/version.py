"""The version, written into every product."""

VERSION = "0.1.0"
