"""One file a revision, in their order; a released revision is never changed."""
