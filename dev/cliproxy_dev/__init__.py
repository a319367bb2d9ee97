"""Development tools: local control plane, node agent, scripted providers, demo; never part of an image."""
