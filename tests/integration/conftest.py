"""Fixtures that the integration tests share."""

from support.providers import scripted_anthropic, scripted_openai
from support.redis import redis_server

__all__ = ["redis_server", "scripted_anthropic", "scripted_openai"]
