"""Running the service: logs, health, metrics, backups."""
