"""Generate passages with questions in SQuAD's JSON, split by passage template, name and number.

The wording lives in `templates/questions/*.yaml`: the templates, and `names.yaml`; the code only combines it.
"""

from lightning_modules.synthetic.questions.generator import SyntheticQuestions

__all__ = ["SyntheticQuestions"]
