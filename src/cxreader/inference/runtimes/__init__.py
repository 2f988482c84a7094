"""What runs the network: one file a runtime, and the export that one of them reads."""
