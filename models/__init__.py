"""Model library: each file reads like a methods section. Found by name through the entry-point group `pkpd.models`."""
