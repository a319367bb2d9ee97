"""The fleet's benchmark: a real API server and operator, and hundreds of light sidecars. See run_fleet.py."""
