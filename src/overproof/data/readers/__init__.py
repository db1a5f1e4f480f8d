"""One file format each: from bytes on disk to columns and images, every failure said in one sentence."""
