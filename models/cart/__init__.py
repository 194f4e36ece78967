"""CAR-T cells, for reference: what expansion, memory and killing look like in products that multiply."""

from .carrgo import carrgo
from .effector_memory import cart_effector_memory
from .stein import cart_stein, cart_stein_comedication

__all__ = ["carrgo", "cart_effector_memory", "cart_stein", "cart_stein_comedication"]
