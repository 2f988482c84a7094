"""How long things are kept: deletion by command, and legal hold."""
