"""How Hypothesis runs here: no verdict may hang on how busy the machine is."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "cliproxy", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("cliproxy")
