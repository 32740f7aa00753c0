from html.parser import HTMLParser

import numpy as np

from gvvad_jax.reports import page

VOID = {"meta", "input", "link", "br", "img", "hr"}


class Balanced(HTMLParser):
    """Fails on a tag that is not closed, and collects ids and what leads to them."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.targets = [], set(), set()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.add(attrs.get("id"))
        self.targets.add(attrs.get("href"))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def a_page(**changes):
    fields = {
        "title": "A <title>",
        "figures": [page.Figure("AUC", "0.9", "a hint")],
        "tables": [
            page.Table(
                "T",
                ("name", "bar"),
                [[page.Link("v & w", "#video-0"), page.Bar(0.25, "0.25")], ["none", page.Bar(None, "-")]],
            )
        ],
        "roc": {"all <x>": np.array([[0, 0], [1, 1.0]])},
        "curves": [
            page.Curve(f"v{i}", np.zeros(40), f"video-{i}", tag="Fire", anomalous=i == 0, fps=20) for i in range(13)
        ],
        "notes": ["a note & more"],
        "details": {"commit": "abc"},
    }
    return page.render(page.Page(**(fields | changes)))


def test_the_page_is_well_formed_and_its_links_lead_somewhere():
    parser = Balanced()
    parser.feed(a_page())
    assert parser.open == []
    assert {target[1:] for target in parser.targets if target} <= parser.ids


def test_nothing_is_loaded_from_elsewhere():
    text = a_page()
    assert "http" not in text and "src=" not in text and "url(" not in text and "@import" not in text


def test_text_is_escaped():
    text = a_page()
    assert "A &lt;title&gt;" in text and "v &amp; w" in text and "all &lt;x&gt;" in text and "a note &amp; more" in text


def test_it_fits_phones_and_dark_rooms():
    text = a_page()
    assert "width=device-width" in text and "prefers-color-scheme: dark" in text and "max-width: 34rem" in text


def test_bars_show_their_number():
    assert '<b style="width:25.0%">' in a_page()


def test_a_curve_says_frames_seconds_and_class():
    text = a_page()
    assert "40 frames, 2.0 s" in text and 'class="tag anomalous">Fire' in text


def test_many_curves_can_be_searched_and_few_need_not():
    assert 'type="search"' in a_page() and 'type="search"' not in a_page(curves=[])


def test_the_player_has_its_place():
    video = page.Curve("v", np.zeros(4), "video-0", media="clips/v.mp4")
    assert '<video src="clips/v.mp4"' in a_page(curves=[video])


def test_an_empty_page_is_a_page():
    parser = Balanced()
    parser.feed(page.render(page.Page("nothing")))
    assert parser.open == []


def test_it_is_written_whole(tmp_path):
    page.write(tmp_path / "a.html", page.Page("ä"))
    assert "ä" in (tmp_path / "a.html").read_text("utf-8") and len(list(tmp_path.iterdir())) == 1


def test_a_video_with_media_gets_a_player_over_its_curve():
    text = a_page(curves=[page.Curve("v", np.zeros(40), "video-0", fps=20, media="a%20clip.mp4")])
    parser = Balanced()
    parser.feed(text)
    assert parser.open == [] and '<video src="a%20clip.mp4" controls' in text and 'class="plot plays"' in text
    assert "<video src" not in a_page() and "plot plays" not in a_page()


def test_histograms_and_cards_are_escaped_balanced_and_complete():
    text = a_page(
        histograms=[page.Histogram("a <measure>", np.array([0.1, 0.1, 0.4]), np.array([2.0]), limit=1.0)],
        galleries=[
            page.Gallery(
                "Dropped", [page.Card("clip_<1>", "data:image/jpeg;base64,x", "Fire", True, "a & b", ["too <dark>"])]
            )
        ],
    )
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    assert "a &lt;measure&gt;" in text and "too &lt;dark&gt;" in text and "<dark>" not in text
    assert text.count('class="kept"') == 2 and text.count('<rect class="dropped"') == 1
    assert 'src="data:image/jpeg;base64,x"' in text


def test_a_page_without_them_has_neither_their_style():
    assert "histograms" not in a_page() and "gallery" not in a_page()
