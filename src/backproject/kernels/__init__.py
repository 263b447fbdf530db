"""The loops: arrays in, arrays out, compiled by numba and runnable as plain Python.

A kernel works on a range `[start, stop)` of its items and releases the GIL; `parallel.run` spreads
the ranges over threads. That compiles two to three times faster than numba's own `prange`, nests in
worker processes without a threading layer, and a result cannot depend on the number of threads as
long as no two items write to the same place.
"""

ANY_ORDER = {"reassoc", "contract", "nsz"}
"""For `fastmath`: sums may be added up in any order, so that they can be taken in SIMD.

Where other kernels call such a function it is `forceinline`, and so is what calls it in turn. Left
as a function of its own it is optimised twice, alone and within its caller, each time to another
order; and the process that compiled both runs the first, one that loads the caller the second.
"""
