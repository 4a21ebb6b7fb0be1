"""Pure rules: ids, errors, ports, calls, prompts, routing. No network, no clock, no environment."""
