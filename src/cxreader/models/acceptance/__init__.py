"""Is this an image that the network may answer: header, picture, and out-of-distribution detection."""
