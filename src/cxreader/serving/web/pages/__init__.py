"""Pages as HTML: routes that people open, one room each."""

from cxreader.serving.web.pages import administration, review, study, worklist

ROUTERS = (worklist.router, study.router, review.router, *administration.ROUTERS)
"""Every room of pages."""
UPLOADS = administration.UPLOADS
"""Those whose requests count for themselves."""
