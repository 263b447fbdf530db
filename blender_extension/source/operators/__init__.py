# SPDX-License-Identifier: GPL-3.0-or-later
"""The operators, one a file: from the scene to one or two calls of the library, and back."""

from .add_rig import AddRig
from .check_cameras import CheckCameras
from .compare import Compare
from .displaced_planes import DisplacedPlanes
from .fuse import Fuse
from .import_depth import ImportDepth
from .point_cloud import MakePointCloud
from .render_depth import RenderDepth

OPERATORS = (
    AddRig,
    RenderDepth,
    ImportDepth,
    MakePointCloud,
    Fuse,
    Compare,
    DisplacedPlanes,
    CheckCameras,
)
