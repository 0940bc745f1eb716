"""The referee: who is compared with whom, on which episodes, and what may be said of it."""
