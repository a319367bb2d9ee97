"""The documentation's machinery: `python -m cliproxy_dev.pages` writes what is generated (`make docs`).

`reference` turns CRDs into pages; `commands` finds what pages tell readers to type, and a test types it.
"""
