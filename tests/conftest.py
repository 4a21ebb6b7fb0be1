"""For all tests."""

from hypothesis import HealthCheck, settings

# A busy machine is no failure: pytest's own time-out bounds a test.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")
