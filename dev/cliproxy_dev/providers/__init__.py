"""Scripted providers: imitations of OpenAI, Anthropic and their like that misbehave on command.

`provider.py` is the front door (`ScriptedProvider`), `script.py` says what to answer, `presets.py` names
real providers' refusals, `server.py` owns the bytes on the wire. For the demo, tests and benchmarks; never
part of an image.
"""
