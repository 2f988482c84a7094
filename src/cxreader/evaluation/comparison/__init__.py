"""Models, networks and label sets side by side on the same images."""
