"""Limits and money: who may ask how much, what it cost, and when there is more.

`window` and `limiter` keep rates, `period` keeps quotas and budgets, `callers` knows keys, `price` and
`spending` count money; `limits` holds them together. All pure: time and salt are handed in, nothing awaits.
"""
