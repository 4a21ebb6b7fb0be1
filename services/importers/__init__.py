"""Question files on their way into the stream."""
