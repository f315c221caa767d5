"""What one import costs in a fresh interpreter.

Its argument names a module. Prints how many modules come with it, the milliseconds of processor
time that this took, and the names of those that were there before.
"""

import sys
from time import process_time

before = list(sys.modules)
begun = process_time()
__import__(sys.argv[1])
spent = process_time() - begun
print(len(sys.modules) - len(before), spent * 1e3, *before)
