"""Pages as HTML: routes that people open, one room each."""

from cxreader.serving.web.pages import administration, review, worklist

ROUTERS = (worklist.router, review.router, *administration.ROUTERS)
"""Every room of pages."""
UPLOADS = administration.UPLOADS
"""Those whose requests count for themselves."""
