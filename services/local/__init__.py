"""The stream on one machine: Kafka, a model server, Valkey and the services, all as child processes."""
