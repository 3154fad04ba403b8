"""Read a report's page as a browser would."""

from html.parser import HTMLParser

HOSTILE = '<script>alert("x")</script><img src="https://example.org/x.png" onerror="alert(1)">'


class Page(HTMLParser):
    """Collect the elements of a page, its texts, and everything it would load."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts, self.sources, self.handlers = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag in {"td", "th", "dd"}:
            self.texts.append(" ")
        self.sources += [value for name, value in attrs if name in {"src", "srcset", "href", "data", "action"}]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join("".join(self.texts).split())


def page_of(out):
    return Page((out / "report.html").read_text(encoding="utf-8"))
