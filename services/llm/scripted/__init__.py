"""A scripted model server: OpenAI-compatible over real HTTP, seeded and deterministic: the same request gets the same
reply, independent of order and time. For tests, benchmarks and demos; it has no medical knowledge."""
