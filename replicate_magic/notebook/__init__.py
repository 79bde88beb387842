"""IPython's side: parse, call the session, return something that shows itself."""
