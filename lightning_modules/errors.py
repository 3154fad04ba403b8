"""Define the error that a person can mend: the command line prints it as one line, without a stack trace."""


class UserError(Exception):
    """Say what is wrong, where (file, row, setting), and what to do."""
