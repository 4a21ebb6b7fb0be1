"""The generator: adds one path to a new case for each slot of the recipe's plan."""
