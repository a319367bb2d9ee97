"""Traces, sans-IO: W3C context, OTLP's bytes, and what a span says about a request.

When a request is traced `proxy.tracing` decides; nothing here reads time, sends or queues.
"""
