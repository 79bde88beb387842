"""What came back: history, tables of it, and jq programs over it."""
