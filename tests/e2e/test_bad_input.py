"""Nothing a client sends may become a 5xx, and nobody's wrong request may cost another one its answer."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.support.served import MODEL, QA, Served
from tests.support.tiny_qa_export import CONTEXT, QUESTIONS

SECRET = "xylophone-7fd2"
JSON = {"Content-Type": "application/json"}
WRONG_ROWS: dict[str, tuple[bytes, dict[str, str]]] = {
    "no body": (b"", JSON),
    "no body and no type": (b"", {}),
    "empty text": (b'{"text": ""}', JSON),
    "blank text": (b'{"text": "   "}', JSON),
    "not JSON": (b'{"text": ', JSON),
    "a number": (b"42", JSON),
    "null": (b"null", JSON),
    "a list of texts": (b'["hello"]', JSON),
    "an empty object": (b"{}", JSON),
    "unknown field": (b'{"text": "hello", "colour": "red"}', JSON),
    "number for text": (b'{"text": 42}', JSON),
    "null for text": (b'{"text": null}', JSON),
    "wrong top_k": (b'{"text": "hello", "top_k": "many"}', JSON),
    "negative top_k": (b'{"text": "hello", "top_k": -1}', JSON),
    "no instances": (b'{"instances": []}', JSON),
    "wrong instance": (b'{"instances": [{"text": "hello"}, {"text": 1}]}', JSON),
    "deep JSON": (b"[" * 100_000, JSON),
    "huge number": (b'{"text": "hello", "top_k": 1' + b"0" * 5000 + b"}", JSON),
    "invalid UTF-8 in JSON": (b'{"text": "\xff\xfe"}', JSON),
    "invalid UTF-8 in text": (b"\xff\xfe", {"Content-Type": "text/plain"}),
    "another type": (b"<text>hello</text>", {"Content-Type": "application/xml"}),
}


ASKED = {"question": QUESTIONS[0], "context": CONTEXT}
# Each with the field that its error names.
WRONG_QUESTIONS: dict[str, tuple[Any, str | None]] = {
    "no context": ({"question": "who?"}, "context"),
    "no question": ({"context": CONTEXT}, "question"),
    "questions without a context": ({"questions": ["who?"]}, "context"),
    "empty question": ({"question": "", "context": CONTEXT}, "question"),
    "blank context": ({"question": "who?", "context": " \r\n"}, "context"),
    "number for question": ({"question": 1, "context": CONTEXT}, "question"),
    "list for context": ({"question": "who?", "context": [CONTEXT]}, "context"),
    "lists of unequal length": ({"question": ["who?", "what?"], "context": [CONTEXT]}, "question"),
    "one of several questions is empty": ({"questions": ["who?", "what?", ""], "context": CONTEXT}, "questions[2]"),
    "no questions": ({"questions": [], "context": CONTEXT}, "questions"),
    "question beside questions": (ASKED | {"questions": ["who?"]}, "questions"),
    "context beside instances": ({"instances": [ASKED], "context": CONTEXT}, "instances"),
    "an instance without context": ({"instances": [ASKED, {"question": "who?"}]}, "instances[1].context"),
    "questions in an instance": ({"instances": [{"questions": ["who?"], "context": "a"}]}, "instances[0].questions"),
    "a classifier's field": ({"text": "who?"}, "text"),
    "a list": ([ASKED], None),
    "a string": ("who?", None),
    "threshold above 1": (ASKED | {"no_answer_threshold": 2}, "no_answer_threshold"),
    "top_k of 0": (ASKED | {"top_k": 0}, "top_k"),
    "half of a surrogate pair": ({"question": "\ud83d", "context": CONTEXT}, "question"),
}


def assert_answered(response: requests.Response) -> None:
    assert response.status_code == 200, response.text
    assert set(response.json()) >= {"label", "score", "top_k"}


def assert_refused(response: requests.Response, field: str | None = None) -> None:
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["code"]
    assert error["message"]
    if field:
        assert error["field"] == field


@pytest.mark.parametrize("name", WRONG_ROWS)
def test_a_wrong_request_gets_its_own_status(served: Served, name: str) -> None:
    body, headers = WRONG_ROWS[name]
    assert_refused(served.post(data=body, headers=headers))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"text": 42}, "text"),
        ({"text": "hello", "colour": "red"}, "colour"),
        ({"text": "hello", "top_k": -1}, "top_k"),
        ({"instances": [{"text": "a"}, {"text": "b"}, {"text": "c"}, {"text": 1}]}, "instances[3].text"),
    ],
)
def test_the_error_names_the_field(served: Served, body: dict[str, Any], field: str) -> None:
    assert_refused(served.post(json=body), field)


@pytest.mark.parametrize("name", WRONG_QUESTIONS)
def test_a_wrong_question_gets_its_own_status_and_names_the_field(served: Served, name: str) -> None:
    body, field = WRONG_QUESTIONS[name]
    assert_refused(served.post(QA, json=body), field)


def test_a_bare_text_is_no_question_and_is_told_what_to_send(served: Served) -> None:
    response = served.post(QA, data=b"who?", headers={"Content-Type": "text/plain"})
    assert_refused(response)
    assert '"question"' in response.json()["error"]["message"]


def test_every_usual_way_to_send_a_text_is_answered_alike(served: Served) -> None:
    text = "translate this sentence into français"
    body = json.dumps({"text": text})
    responses = [
        served.post(json={"text": text}),
        served.post(files={"data": ("request.json", body, "application/json")}),
        served.post(data=text.encode(), headers={"Content-Type": "text/plain; charset=utf-8"}),
        served.post(data=body.encode(), headers={}),
        served.post(f"{MODEL}/1.0", json={"text": text}),
    ]
    assert [response.status_code for response in responses] == [200] * len(responses)
    assert len({response.json()["label"] for response in responses}) == 1


@pytest.mark.parametrize("form", [{"text": "hello"}, '{"text": "hello"}', '{"text": "a=b"}', {"data": "{}", "x": "y"}])
def test_a_form_is_refused_with_how_to_send_it(served: Served, form: Any) -> None:
    response = served.post(data=form, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert response.status_code in {400, 415}
    assert "JSON object" in response.json()["error"]["message"]


def test_a_megabyte_of_text_is_answered_and_says_that_it_was_cut(served: Served) -> None:
    response = served.post(json={"text": "a long story " * 80_000})
    assert_answered(response)
    assert response.json()["truncated"] is True


@pytest.mark.parametrize("unit", ["a long story ", "x", "漢字", "👩\u200d🚀 ", "e\u0301", "\r\n\0."])
def test_a_megabyte_of_context_is_answered_and_says_that_it_was_cut(served: Served, unit: str) -> None:
    context = unit * (1_000_000 // len(unit.encode()))
    response = served.post(QA, json={"question": "what is it?", "context": context})
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["truncated"] is True
    assert context[answer["start"] : answer["end"]] == answer["answer"]


def test_more_questions_on_a_long_context_than_can_be_answered_in_time_are_413(served: Served) -> None:
    response = served.post(QA, json={"questions": ["what is it?"] * 1000, "context": "a long story " * 400})
    assert response.status_code == 413
    assert "160" in response.json()["error"]["message"]
    alone = served.post(QA, json={"questions": ["what is it?"], "context": "a long story " * 400})
    assert alone.status_code == 200


def test_dense_contexts_and_huge_answers_are_413_and_the_worker_lives(served: Served) -> None:
    dense = {"instances": [{"question": "who?", "context": f"{i}" + "." * 1800} for i in range(150)]}
    long = {"questions": ["who?"] * 50, "context": " ".join(["𐐨" * 2040] * 6), "top_k": 20}
    for body in (dense, long):
        assert served.post(QA, json=body).status_code == 413
    assert served.post(QA, json=ASKED).status_code == 200


def test_more_than_the_server_takes_is_413(served: Served) -> None:
    assert served.post(json={"text": "x" * 7_000_000}).status_code == 413


def test_too_many_instances_are_refused_and_the_limit_is_told(served: Served) -> None:
    response = served.post(json={"instances": [{"text": "hello"}] * 10_000})
    assert response.status_code in {400, 413}
    assert "1024" in response.json()["error"]["message"]


def test_a_full_request_of_instances_is_answered_in_order(served: Served) -> None:
    texts = ["write a python function", "translate this sentence into french"] * 512
    response = served.post(json={"instances": [{"text": text, "top_k": 1} for text in texts]})
    assert response.status_code == 200
    labels = [prediction["label"] for prediction in response.json()["predictions"]]
    assert len(labels) == 1024
    assert labels[::2] == [labels[0]] * 512
    assert labels[1::2] == [labels[1]] * 512


@pytest.mark.parametrize("headers", [{"Authorization": ""}, {"Authorization": "Bearer wrong"}, {"Authorization": "x"}])
def test_without_the_right_token_there_is_no_answer(served: Served, headers: dict[str, str]) -> None:
    response = served.post(json={"text": "hello"}, headers=headers)
    assert 400 <= response.status_code < 500
    assert "Token" in response.json()["message"]


def test_the_inference_key_does_not_open_the_management_api(served: Served) -> None:
    headers = served.post(json={"text": "hello"}).request.headers
    response = served.session.get(
        f"{served.server.management_url}/models", headers={"Authorization": headers["Authorization"]}, timeout=10
    )
    assert 400 <= response.status_code < 500


@pytest.mark.parametrize("path", ["nobody", f"{MODEL}/9.9", "nobody/1.0"])
def test_an_unknown_model_or_version_is_404(served: Served, path: str) -> None:
    assert served.post(path, json={"text": "hello"}).status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_answered_below_500(served: Served, method: str) -> None:
    authorization = served.post(json={"text": "hello"}).request.headers["Authorization"]
    response = served.session.request(
        method,
        f"{served.server.url}/predictions/{MODEL}",
        headers={"Authorization": authorization},
        timeout=10,
    )
    assert response.status_code < 500


def test_good_requests_are_answered_beside_wrong_ones(served: Served) -> None:
    wrong = list(WRONG_ROWS.values())

    def ask(index: int) -> requests.Response:
        if index % 3 == 0:
            body, headers = wrong[index // 3 % len(wrong)]
            return served.post(data=body, headers=headers)
        return served.post(json={"text": f"summarize report {index} in three sentences"})

    with ThreadPoolExecutor(32) as pool:
        responses = list(pool.map(ask, range(600)))
    assert max(response.status_code for response in responses) < 500
    for index, response in enumerate(responses):
        if index % 3:
            assert_answered(response)


def test_good_questions_are_answered_beside_wrong_ones(served: Served) -> None:
    wrong = list(WRONG_QUESTIONS.values())

    def ask(index: int) -> requests.Response:
        return served.post(QA, json=ASKED if index % 3 else wrong[index // 3 % len(wrong)][0])

    with ThreadPoolExecutor(32) as pool:
        responses = list(pool.map(ask, range(300)))
    assert {response.status_code for response in responses[::3]} == {400}
    for index, response in enumerate(responses):
        if index % 3:
            answer = response.json()
            assert response.status_code == 200
            assert CONTEXT[answer["start"] : answer["end"]] == answer["answer"] != ""


def test_no_text_of_a_user_reaches_a_log(served: Served) -> None:
    served.post(json={"text": f"my secret is {SECRET}"})
    served.post(json={"text": f"my secret is {SECRET}", "colour": SECRET})
    served.post(data=f'{{"text": "{SECRET}'.encode(), headers=JSON)
    served.post(data=f"\xff{SECRET}".encode("latin-1"), headers={"Content-Type": "text/plain"})
    served.post(json={"instances": [{"text": SECRET}, {"text": 1, SECRET: SECRET}]})
    served.post(QA, json={"question": SECRET, "context": SECRET})
    served.post(QA, json={"questions": [SECRET, ""], "context": SECRET, "top_k": 1})
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for body in (f'{{"text": "{SECRET}"}}', f"text={SECRET}", f"{SECRET}=%zz&%"):
        served.post(data=body.encode(), headers=form)
    served.post(files={"data": ("request.json", f'{{"text": {SECRET}', "application/json")})
    served.post(data=f"--x\r\n{SECRET}".encode(), headers={"Content-Type": "multipart/form-data; boundary=x"})
    served.post(data=f'{{"text": "{SECRET}{"x" * 7_000_000}"}}'.encode(), headers=JSON)
    served.post(f"{MODEL}?text={SECRET}", json={"text": SECRET})
    served.post(f"{SECRET}/{SECRET}", json={"text": SECRET})
    served.post(json={"text": SECRET}, headers={"Authorization": f"Bearer {SECRET}", "X-Text": SECRET})
    served.post(f"../{SECRET}%zz?{SECRET}=%", data=SECRET.encode(), headers={"Content-Type": SECRET})
    for log in served.server.folder.rglob("*.log"):
        assert SECRET not in log.read_text(errors="replace"), log
