"""The service beside a PACS: it receives images, reads them, orders the worklist and keeps every answer."""
