"""The monitor: where each case stands, and the live figures of the whole stream, from the topics alone."""
