"""For all tests."""

import signal

from hypothesis import HealthCheck, settings

# A busy machine is no failure: pytest's own time-out bounds a test.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

# Whoever starts the tests in the background has a shell make them deaf to Ctrl-C, and so every process that they start:
# those whose Ctrl-C is tested would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
