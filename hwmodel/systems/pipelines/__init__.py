"""Pipelines of stages: who runs which pass of which micro-batch, in which order, and how long."""
