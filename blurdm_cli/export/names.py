"""Names in exported graphs."""

BACKBONE = "backbone."
"""Of the parameters that only the backbone has."""
