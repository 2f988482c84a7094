"""What leaves the service: objects of results to their destinations, and the answers to Storage Commitment."""
