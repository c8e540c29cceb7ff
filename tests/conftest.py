"""Rules for all tests: how long a property is looked at does not depend on the machine."""

from hypothesis import HealthCheck, settings

# Other work on the machine must not fail a test: no example has a time limit, none is "too slow".
settings.register_profile(
    "stepgrid", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("stepgrid")
