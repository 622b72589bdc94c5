"""Names of the tables: what the workflow promises and the report reads, without importing what makes them."""

TABLES: tuple[str, ...] = (
    "classification",
    "transfer",
    "summary",
    "comparisons",
    "verdicts",
    "confusion",
    "training",
    "data",
    "exclusions",
    "runtime",
)
"""Each is ``<name>.parquet``."""
