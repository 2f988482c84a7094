"""What pretrained weights gain, by number of patients."""
