"""Programs that train, judge and show."""
