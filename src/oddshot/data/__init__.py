"""Names and files become tables, tables become seeded streams of episodes."""
