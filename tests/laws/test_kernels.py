"""What keeps a kernel the same code in the process that compiles it and in all that load it."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from numba.core.dispatcher import Dispatcher

from backproject import kernels

KERNELS = {
    id(each): each
    for module in pkgutil.iter_modules(kernels.__path__, f"{kernels.__name__}.")
    for each in vars(importlib.import_module(module.name)).values()
    if isinstance(each, Dispatcher)
}.values()


def called_by(kernel):
    """Return the kernels that a kernel names."""
    seen = kernel.py_func.__globals__
    named = [seen.get(name) for name in kernel.py_func.__code__.co_names]
    return [each for each in named if isinstance(each, Dispatcher)]


def may_reorder(kernel):
    """Tell whether sums in a kernel, or in what it calls, may be added up in any order."""
    return bool(kernel.targetoptions.get("fastmath")) or any(map(may_reorder, called_by(kernel)))


LOOSE = {
    called.py_func.__name__: called
    for kernel in KERNELS
    for called in called_by(kernel)
    if may_reorder(called)
}


@pytest.mark.parametrize("name", LOOSE)
def test_sums_in_any_order_are_part_of_the_kernel_that_python_calls(name):
    """Else one process runs other code than another, see `ANY_ORDER`."""
    assert LOOSE[name].targetoptions.get("forceinline")


def test_there_are_such_kernels():
    assert {"step_to_surface", "ask", "find_pixels"} <= LOOSE.keys()
