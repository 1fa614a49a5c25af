"""Results -> the terminal. The only room with rich but for cli."""
