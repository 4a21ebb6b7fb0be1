"""The engine that processes records (ARCHITECTURE.md lists its thirteen rules), its Kafka and Faust sources, and the
parts of a service's process."""
