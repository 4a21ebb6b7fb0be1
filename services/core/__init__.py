"""Pure rules and ports: ids, calls, prompts, paths, case status, errors. No network, no clock, no environment."""
