"""What a release tells of itself: its parts (SBOM) and their licences, from locks and installed metadata."""
