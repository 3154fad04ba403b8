"""Read the files that users bring: labelled texts (`labelled`) and questions with answers (`questions`).

Training, evaluation, comparison and the load test read through here, so that a file that one of them takes, all take.
`files` opens a file and knows JSON, `separated` knows CSV and TSV, `arrow` Parquet: a format is a function from a path
to raw rows. What a row must hold is the matter of `labelled` and `questions` alone, whatever format it came in.
"""
