"""The verifier: adds a verdict to each unverified path of a case, and a score to each correct one."""
