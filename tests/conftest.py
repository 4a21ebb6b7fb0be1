"""For all tests."""

from hypothesis import settings

# A busy machine is no failure: pytest's own time-out bounds a test.
settings.register_profile("house", deadline=None)
settings.load_profile("house")
