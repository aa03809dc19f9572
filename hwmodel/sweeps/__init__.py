"""Many points at once: axes, runs, files, workers, fronts."""
