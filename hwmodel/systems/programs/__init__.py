"""Programs of model calls: as values, read from files, priced."""
