"""What administrators do, one function a task: commands, the API and the pages call the same ones, and each is audited."""
