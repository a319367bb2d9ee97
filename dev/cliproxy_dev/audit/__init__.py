"""Other people's judges of what we ship: hadolint, shellcheck and checkov; each exception with its reason."""
