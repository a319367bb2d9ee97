"""HTTP/1.1 to sidecars' control ports, only as much of it as two calls need (ADR 19).

`trouble` names what can go wrong, `answers` turns bytes into answers, `connection` moves the bytes of one
connection. Which connection is used for what, and how it is protected, is left to `transport.py`.
"""
