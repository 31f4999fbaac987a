"""Figures: time, memory and calls, printed as ratios measured in one run."""
