"""The verifier: a case with unverified paths in, the same with a verdict for each path and a score for each correct."""
