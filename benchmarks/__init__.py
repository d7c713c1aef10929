"""Speed, as ratios within one run: machines are noisy, ratios of neighbours are not."""
