"""The HTML report's page: what its templates are given, row by row."""
