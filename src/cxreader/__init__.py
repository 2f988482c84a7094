"""cxreader: an open second reader for frontal chest radiographs. For research; not a medical device."""

__version__ = "0.1.0"
