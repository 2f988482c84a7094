"""What `benchmarks/serving.py` measures of the service, a file a part."""
