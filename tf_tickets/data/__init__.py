"""Data sets: facts, subsets, sources and the input pipeline."""
