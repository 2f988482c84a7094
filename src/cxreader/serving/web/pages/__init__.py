"""Pages as HTML: routes that people open, one room each."""

from cxreader.serving.web.pages import worklist

ROUTERS = (worklist.router,)
"""Every room of pages."""
