"""The documentation's site: what of it is made from the code, how it is built and checked.

Runs on the project's Python, in `make docs` and in the tests. Rule: what the code says is
never copied into docs/ by hand.
"""
