"""How well decisions fit their labels, and which of two routers does better."""
