"""Read-only access to topics: as JSON lines, as tables for SQL, and five analyses."""
