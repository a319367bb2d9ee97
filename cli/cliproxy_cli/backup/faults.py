"""What can be wrong with a backup, in words."""

from cliproxy_cli.failures import CommandFailed


class BackupFault(CommandFailed):
    """The file cannot be used; the message says why, without the file's name."""
