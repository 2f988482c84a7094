"""The region head: what it learns from boxes, in a phase of its own."""
