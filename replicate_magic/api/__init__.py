"""Talking to Replicate's HTTP API."""
