"""The way in: questions over HTTP, each acknowledged once Kafka holds it. The only place that knows FastAPI."""
