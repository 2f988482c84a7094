"""The administration's pages. Each form works without a script, but for sending a model, and says what came of it."""

from cxreader.serving.web.pages.administration import (
    audit,
    destinations,
    health,
    models,
    outbox,
    people,
    person,
    retention,
    tokens,
)

ROUTERS = tuple(one.router for one in (people, person, tokens, destinations, outbox, models, retention, audit, health))
"""Every room of the administration whose requests are small."""
UPLOADS = (models.uploads,)
"""Where models are sent."""
