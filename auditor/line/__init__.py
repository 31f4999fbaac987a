"""The steps of the line; `auditor.pipeline` is the one place where they meet."""
