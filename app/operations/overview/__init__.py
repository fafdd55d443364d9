"""How the whole deployment stands: what `identity status` and the console's first page show."""
