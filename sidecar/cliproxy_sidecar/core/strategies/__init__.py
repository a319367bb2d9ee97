"""How a target is preferred among candidates of the same priority: one small class per strategy.

`base` holds what they share; `kinds` makes the one a profile asks for. Who is a candidate is `selection`'s;
equals are parted by `routing`'s turns, or by `affinity`.
"""
