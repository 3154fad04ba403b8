"""Passages with questions, in SQuAD's JSON, split by passage template, with names and numbers of each part's own.

The wording lives in `templates/questions/*.yaml`: the templates, and `names.yaml`; the code only combines it.
"""

from lightning_modules.synthetic.questions.files import SyntheticQuestions

__all__ = ["SyntheticQuestions"]
