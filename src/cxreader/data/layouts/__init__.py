"""One file a way in which people keep labelled images."""
