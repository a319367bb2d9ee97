"""Races LLM gateways side by side: `bench/run.py` is the door, each module says its part."""
