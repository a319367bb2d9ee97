"""Recorded provider signals: one JSON file per answer that a provider gives, with the class it must get.

The one home of these records: the sidecar's outcome table is tested against them and `presets.py` replays
them. What a class then does to a provider is left to the sidecar.
"""

from cliproxy_dev.providers.signals.signal import Expectation, Signal, load_all

__all__ = ["Expectation", "Signal", "load_all"]
