"""From what was written to what will be sent: pure functions of text, schema and values."""
