"""The error that a person can mend: printed as one line by the command line, without a stack trace."""


class UserError(Exception):
    """Says what is wrong, where (file, row, setting), and what to do."""
