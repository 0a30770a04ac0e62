"""The models being served: found on disk, loaded, swapped, run."""
