"""What is wrong with a set of routes, and which queries a person should look at."""
