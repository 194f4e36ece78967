"""Shape aliases used across floors: E segments, M observation times, B subject lanes (always last), n states, k parameters."""

from __future__ import annotations

from jaxtyping import Array, Bool, Float, Int

SegmentEdges = Float[Array, "E+1 B"]
SegmentTable = Float[Array, "E n B"]
States = Float[Array, "n B"]
Parameters = Float[Array, "k B"]
Times = Float[Array, "M B"]
Trajectories = Float[Array, "M n B"]
LaneInts = Int[Array, " B"]
LaneFlags = Bool[Array, " B"]
