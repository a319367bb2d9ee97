"""Container images without a container engine: built, and run, by tools unpacked from Debian."""
