"""Sending messages: one try over HTTP or SMTP, and what came of it. Whom to tell what is `alerts`' decision.

No secret leaves here but on the wire: not in results, logs or exceptions. When to try again is `alerting`'s.
"""
