"""Tree ensembles: the data structure, its cells, and the best-first oracle."""
