"""The parts of the Keycard collector: its records, and how they are listed."""
