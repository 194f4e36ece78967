"""All subjects in one loop: explicit and L-stable methods with hand-written adjoints."""

from pkpd.solve.batched.solve import METHODS, make_batched

__all__ = ["METHODS", "make_batched"]
