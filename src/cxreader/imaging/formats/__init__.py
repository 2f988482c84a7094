"""What belongs to the picture in a PNG or JPEG file, before anything decodes it."""
