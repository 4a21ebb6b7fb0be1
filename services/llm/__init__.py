"""Calls to model servers: the chat client, permits and circuit breakers per server, the dispatcher behind the call
ledger, and the scripted model server."""
