"""Is the fit any good: numbers only, one question a file. Plots and reports arrange them."""
