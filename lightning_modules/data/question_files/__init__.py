"""Questions with contexts and answers from files or the hub: read by format, checked row by row, kept for the next run.

`json_files` and `row_files` give what stands in a source, `rows` checks it, `answer_starts` mends it.
"""

from lightning_modules.data.question_files.read import Questions, read_hub, read_questions

__all__ = ["Questions", "read_hub", "read_questions"]
