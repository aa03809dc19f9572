"""Mixtures of experts: traces, statistics, placements, steps."""
