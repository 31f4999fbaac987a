"""Findings for Amazon Security Lake: OCSF 1.3.0, the newest it takes from others, as Parquet."""
