"""Where the network looked."""
