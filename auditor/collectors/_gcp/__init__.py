"""The parts of the Google Cloud collector: logging in, its APIs, grants, use and records."""
