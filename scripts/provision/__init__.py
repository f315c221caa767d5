"""Everything that the project needs on a machine, found or fetched.

Runs on the system's own Python (3.11 or later, standard library only), before
there is any other. Rule: nothing outside the project's folder is changed, but
for the few Debian packages that `test` asks for (see `programs`).
"""
