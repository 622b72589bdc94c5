"""Names of files that are read without what draws samples."""

SAMPLING = "sampling.json"
"""File of a model's folder that keeps how its study draws from it: ``{"generator": name, "sample": settings}``."""
