"""The Helm chart's derived files: `values.yaml` and the reference of values. The schema is their source."""
