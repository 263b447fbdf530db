"""The nouns: frozen values with their frames in their names.

Conventions, once (docs/conventions.md): cameras have OpenCV axes (x right, y down, z forward);
pixel centres lie at +0.5 and (0, 0) is the image's upper-left corner; depth is planar z in scene
units; poses are float64.
"""
