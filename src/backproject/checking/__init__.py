"""Which assumption about the cameras is wrong, told by views that contradict each other."""
