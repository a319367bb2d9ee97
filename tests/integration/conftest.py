"""Fixtures that the integration tests share."""

from support.providers import scripted_anthropic, scripted_openai

__all__ = ["scripted_anthropic", "scripted_openai"]
