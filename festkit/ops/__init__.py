"""Array operations on CPU and GPU: components, order statistics, resizing, size classes."""
