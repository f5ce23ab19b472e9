"""One minimal set over a monotone predicate: one algorithm per file."""
