"""Where to paint: attribution, paint brushes, words, chance, or the symbolic engine."""
