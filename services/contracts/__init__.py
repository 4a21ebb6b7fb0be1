"""The contract: all messages of the stream as frozen, versioned types, and the topics as data."""
