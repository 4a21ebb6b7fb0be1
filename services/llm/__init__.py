"""The edge to model servers: the chat client, permits and circuits by alias, the dispatcher that puts both behind the
call ledger, and the scripted model server."""
