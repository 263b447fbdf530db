"""Side by side with the peers: the same depth maps, the same run, the same scores."""
