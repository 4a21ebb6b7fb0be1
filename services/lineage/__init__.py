"""The model calls of a case: each stage is run again on the messages that it read, with the ledger's replies."""
