"""The bar that a fine-tuned model has to clear: TF-IDF and logistic regression on the same rows."""

from collections.abc import Mapping, Sequence


def baseline_accuracy(
    train: Mapping[str, Sequence[str]],
    test: Mapping[str, Sequence[str]],
    text: str = "text",
    labels: Sequence[str] = ("intent",),
) -> dict[str, float]:
    """Test accuracy (0 to 1) for each label column.

    `train` and `test` map column names to equally long columns: a dict of lists, a DataFrame or a `datasets.Dataset`
    will do.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    accuracy = {}
    for label in labels:
        model = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10, max_iter=1000)
        )
        model.fit(list(train[text]), list(train[label]))
        accuracy[label] = float(model.score(list(test[text]), list(test[label])))
    return accuracy
