"""What a machine has: its numbers with their sources, the catalogue, calibrations."""
