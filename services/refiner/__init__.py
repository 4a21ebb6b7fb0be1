"""The refiner: new paths for medium and difficult cases, in two lanes, each with its own consumer group."""
