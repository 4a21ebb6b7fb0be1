"""The monitor: the status of each case, and the live figures of the whole stream, from the topics alone."""
