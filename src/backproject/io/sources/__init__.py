"""One file for each kind of source of depth maps; `registry` lists them."""
