"""An image in, a Reading out."""
