"""The parts of the GitHub collector: logging in, paging, records, and what is listed."""
