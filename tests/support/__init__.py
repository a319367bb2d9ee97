"""Builders, fakes and helpers shared by the tests; each is itself small enough to be read at a glance."""
