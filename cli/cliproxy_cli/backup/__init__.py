"""Backups as values and files: what they hold, how they are sealed, what restoring one comes to.

Nothing in here calls an API server or prints; that is `commands.backup`'s and `commands.restore`'s.
"""
