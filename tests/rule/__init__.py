"""Quote rules."""
