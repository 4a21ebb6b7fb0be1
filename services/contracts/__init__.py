"""The contract: every message of the stream as a frozen, versioned type, and the topics as data."""
