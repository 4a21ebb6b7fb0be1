"""The HTTP interface: questions, each acknowledged once Kafka holds it; the status of cases; the dashboard.

The only package that imports FastAPI.
"""
