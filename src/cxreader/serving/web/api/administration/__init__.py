"""What administrators ask and change: people, tokens, destinations, models, retention, and how the service does."""

from cxreader.serving.web.api.administration import destinations, models, outbox, retention, service, tokens, users

ROUTERS = tuple(one.router for one in (users, tokens, destinations, outbox, models, retention, service))
UPLOADS = (models.uploads,)
"""Those that take artifacts."""
