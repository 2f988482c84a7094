"""Pages as HTML: routes that people open, one room each."""

from cxreader.serving.web.pages import study, worklist

ROUTERS = (worklist.router, study.router)
"""Every room of pages."""
