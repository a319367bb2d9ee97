"""Alerts, decided: figures of a provider -> verdict -> state -> who is owed which message, in which words.

Pure: the time is handed in. `figures` reads the fleet, `judge` a condition, `machine` holds one provider's
state, `rule` all providers of one AlertRule and what its channels know, `restoring` goes to and from status,
`message` and `words` say it for people, `bodies` on the wire. Who sends, and when to look, is `notify`'s and
`alerting`'s.
"""
