"""Dashboards as code, the reference of metrics, and both tried on real traffic in a real Prometheus.

Run as a program it writes charts/cliproxy-operator/dashboards and docs/metrics.md; rules stand by hand in the
chart. Never in a wheel.
"""
