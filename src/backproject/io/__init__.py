"""Files to values and back, one file a format; `MESH_FORMATS` and `DEPTH_FORMATS` list them.

Every reader converts to this package's conventions (docs/conventions.md) on the spot, and says in
its errors which file it was, what was found, what was expected and what to do. Every writer writes
beside and then renames, so that no half result is ever seen.
"""
