"""Independent references: they share no code with src/."""
