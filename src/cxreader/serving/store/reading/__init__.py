"""Studies, their images and what was found in them: received, placed, read, judged, listed, exported."""
