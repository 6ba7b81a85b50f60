"""What is learned from labelled texts, and how well a router does on them."""
