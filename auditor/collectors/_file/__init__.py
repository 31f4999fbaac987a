"""The readings of exported files: one module per shape, all ending in the normalized one."""
