"""Reads question files and submits them to the stream."""
