"""Programs that measure; each writes JSON and compares with peers in the same run."""
