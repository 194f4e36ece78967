"""The sampler on densities whose moments are known, compiled once."""

import jax
import jax.numpy as jnp
import numpy as np

from pkpd.inference.chain import warmup_windows
from pkpd.inference.nuts import CHUNK, build

SD = jnp.array([1.0, 0.2, 3.0])


def test_a_chain_finds_the_moments_of_a_normal_and_compiles_once():
    """1000 draws of a 3-d normal: the standard error of a mean is about sd / sqrt(500) = 0.045 sd at ESS 500; 5 of them is 0.22 sd.

    False alarms: 3 means and 3 sds at 5 standard errors, below 1e-5 in all.
    """
    begin, advance, refresh = build(lambda u: -0.5 * jnp.sum((u / SD) ** 2), 0.8, 8)
    walk = begin(jax.random.PRNGKey(0), jnp.ones(3))
    for chunks, renew in warmup_windows(400):
        for _ in range(chunks):
            walk, _ = advance(walk, True)
        walk = refresh(walk) if renew else walk
    draws = []
    for _ in range(1000 // CHUNK):
        walk, info = advance(walk, False)
        draws.append(np.asarray(info.position))
    u = np.concatenate(draws)
    assert np.all(np.abs(u.mean(0)) < 0.22 * SD)
    assert np.all(np.abs(u.std(0) / SD - 1.0) < 0.22)
    assert advance._cache_size() == 1  # warm-up and sampling share one compilation


def test_warmup_windows_cover_the_warm_up_and_end_without_a_refresh():
    for warmup in (50, 100, 300, 400, 1000, 2000):
        windows = warmup_windows(warmup)
        assert sum(n for n, _ in windows) * CHUNK == warmup
        assert windows[-1][1] is False
        assert all(renew for _, renew in windows[:-1])
