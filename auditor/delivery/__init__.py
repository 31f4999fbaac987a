"""The delivery channels; one module adds one."""
