"""Views with colours give a mesh theirs."""
