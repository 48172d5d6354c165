"""Sources into the lake's pending area. Each module reads one kind of source and stages one landing a call."""
