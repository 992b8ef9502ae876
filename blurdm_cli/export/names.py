"""Names in exported graphs."""

BACKBONE = "backbone."
"""Prefix of the parameters that only the backbone has."""
