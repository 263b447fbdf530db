"""The loops: arrays in, arrays out, compiled by numba and runnable as plain Python.

A kernel works on a range `[start, stop)` of its items and releases the GIL; `parallel.run` spreads
the ranges over threads. That compiles two to three times faster than numba's own `prange`, nests in
worker processes without a threading layer, and a result cannot depend on the number of threads as
long as no two items write to the same place.
"""
