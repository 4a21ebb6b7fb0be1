"""The generator: a case with no paths in, the same case with one path for each slot of the plan out."""
