"""The fault suite: `python -m cliproxy_dev.faults` (`make faults`).

A real control plane, real operator and four real sidecars under load (`field`), broken on purpose in one
way after another (`plan` lists them). `run` plays one run and looks at the world in its end, `checks` judges
what was seen by the same invariants for every fault, `table` and `document` tell it.
"""
