"""From a cohort to an Artifact."""
