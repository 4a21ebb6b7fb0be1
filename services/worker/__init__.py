"""What a worker process is made of: the one place where engine, ledger and models are put together."""
