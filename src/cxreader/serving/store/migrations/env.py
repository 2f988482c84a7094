"""What Alembic runs: the steps, on the connection that `store.migrate` gives."""

from __future__ import annotations

from alembic import context

from cxreader.serving.store.tables.base import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
