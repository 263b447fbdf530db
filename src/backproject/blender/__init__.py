# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender: its cameras and meshes to this package's and back, and Cycles as a renderer.

Every module here needs `bpy`: run inside Blender, or with the extra `blender` installed. As it
imports `bpy`, this folder is under the GPL, as Blender is. The rest is under the MIT license.
"""
