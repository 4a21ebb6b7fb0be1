"""Topics for those outside the stream: as JSON lines, as tables for SQL, and five analyses. Reads only."""
