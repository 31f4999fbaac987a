"""The providers; one module or description adds one."""
