"""What people look at: figures and self-contained pages. No torch; matplotlib loads when something is drawn."""
