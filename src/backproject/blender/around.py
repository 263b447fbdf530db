# SPDX-License-Identifier: GPL-3.0-or-later
"""Rigs around Blender's objects: upright along +z, as Blender is."""

from __future__ import annotations

import numpy as np

from backproject.geometry.mesh import Mesh, normalize
from backproject.geometry.rig import Rig
from backproject.geometry.transform import Similarity

Z_UP = Similarity(rotation=np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]))
"""From rigs, which stand upright along +y, to Blender: +y becomes +z, and +z, the front, -y."""


def rig_around(mesh: Mesh, rig: Rig) -> Rig:
    """Return `rig`, which stands around the origin of the unit frame, around `mesh`, in the mesh's
    own coordinates: centred on its area-weighted centroid, scaled by its diameter, upright along
    +z.

    Raises:
        InputError: the mesh has no area.

    """
    return rig.transformed(normalize(mesh).world_from_unit @ Z_UP)
