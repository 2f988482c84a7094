"""Every image decoded once, to memory-mapped uint8."""
