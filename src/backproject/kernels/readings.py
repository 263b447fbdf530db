"""What stored numbers mean as depth, pixel by pixel."""

import numpy as np
from numba import njit

PLANAR, ALONG_RAY, PLANAR_READ_AS_ALONG_RAY = 0, 1, 2


@njit(cache=True, nogil=True, error_model="numpy")
def understand(start, stop, stored, lengths, kind, far_plus_near, depth):
    """Fill `depth` (N, H, W) of views [start, stop) with the planar depth of what is `stored`.

    `lengths` (N, H, W) are those of the rays of planar depth 1; `far_plus_near` is what swapped
    depth was subtracted from, nan if none was. All numbers are float32; what would lie behind the
    camera is nan.
    """
    swapped = not np.isnan(far_plus_near)
    for k in range(start, stop):
        for row in range(stored.shape[1]):
            for column in range(stored.shape[2]):
                d = stored[k, row, column]
                if kind == PLANAR_READ_AS_ALONG_RAY:
                    d *= lengths[k, row, column]
                if swapped:
                    d = far_plus_near - d if np.isfinite(d) else d
                    d = d if d > 0 else np.float32(np.nan)
                if kind == ALONG_RAY:
                    d /= lengths[k, row, column]
                depth[k, row, column] = d
