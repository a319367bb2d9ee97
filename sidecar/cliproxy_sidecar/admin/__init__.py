"""What operator, kubelet, Prometheus and people talk to; never on the data path.

`control` takes pushes and streams reports, `health` answers probes and scrapes, `operations` shows and
steers. The first two are plain ASGI: FastAPI costs 18 MB and 0.4 s at start, and a sidecar must be small and
ready long before anybody looks at `operations`, which is FastAPI and loaded on first use.
"""
