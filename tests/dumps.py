"""Small dumps of a MediaWiki."""


def page(title: str, text: str, namespace: str = "0", more: str = "") -> str:
    """A page, with `more` elements before its revision."""
    return f"<page><title>{title}</title><ns>{namespace}</ns><id>1</id>{more}<revision><id>2</id><text>{text}</text></revision></page>"


def dump(*pages: str) -> str:
    return '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/">' + "".join(pages) + "</mediawiki>"
