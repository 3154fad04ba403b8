"""Define the error that a user can fix; the command line prints it as one line, without a stack trace."""


class UserError(Exception):
    """An error whose message says what is wrong, where (file, row, setting), and what to do."""
