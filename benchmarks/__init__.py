"""Speed of festkit beside the obvious alternatives, as ratios within one run."""
