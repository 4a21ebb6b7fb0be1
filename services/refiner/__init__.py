"""The refiner: new paths for the cases that the generator's models found hard, in two lanes, each its own group."""
