"""The main job, played and narrated: `python -m cliproxy_dev.demo` (`make run`).

`launch` starts and stops everything, `world` is what is then there, `scenario` is the story with its proofs,
`narrator` tells it, `ask` is the little client whose commands the story shows.
"""
