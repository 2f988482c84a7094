"""Who is there and what they may do: signing in, sessions of browsers, tokens of programs, limits of attempts."""
