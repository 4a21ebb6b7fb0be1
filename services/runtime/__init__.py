"""The edge to Kafka: the engine for stages that wait for models (docs: the thirteen rules), its source and sink."""
