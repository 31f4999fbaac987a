"""The parts of the collector that reads providers described as data."""
