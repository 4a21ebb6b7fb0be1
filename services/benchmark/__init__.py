"""What a model is worth: its answers to questions with a known answer, every call through the ledger."""
