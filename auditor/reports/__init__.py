"""The report formats; one module adds one."""
