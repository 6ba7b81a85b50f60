"""From the fallback's answers to a change of the routes."""
