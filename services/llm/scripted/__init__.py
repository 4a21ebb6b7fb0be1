"""A model server that plays by a script: OpenAI-compatible over real HTTP, seeded, the same reply to the same request,
whatever the order or the time. For tests, benchmarks and demonstrations; it knows no medicine."""
