"""What the product is measured beside; each is what its docstring says, and honest about it."""
