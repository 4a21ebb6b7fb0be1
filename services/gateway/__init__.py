"""The way in: questions over HTTP, each acknowledged once Kafka holds it; and where cases stand, to be seen.

The only place that knows FastAPI.
"""
