"""Who may do what, asked of a real API server: `python -m cliproxy_dev.rights` (`make rights`).

`accounts` makes installations with the chart's rules and pods' accounts beside them, `listing` asks kubectl
what each may do, `readers` has each account try to read every Secret; `document` is the text for the page.
"""
