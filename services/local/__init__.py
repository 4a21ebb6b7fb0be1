"""One machine: Kafka, a small model server, Valkey and the service processes, each a child that dies with us."""
