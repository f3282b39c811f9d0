"""Who follows a link: a click is counted, a preview is not."""

import pytest

from streams.links.visit import Visit, visit_of

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
SLACK_APP = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Slack/4.41.98 Electron/33.2.1"
CUBOT_PHONE = "Mozilla/5.0 (Linux; Android 12; CUBOT NOTE 21) AppleWebKit/537.36 Chrome/120.0.0.0 Mobile Safari/537.36"


@pytest.mark.parametrize("agent", [CHROME, SAFARI, SLACK_APP])
def test_a_browser_clicks(agent: str) -> None:
    assert visit_of("GET", {"User-Agent": agent}) is Visit.CLICK


@pytest.mark.parametrize(
    "agent",
    [
        "",
        "curl/8.5.0",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "Slackbot 1.0 (+https://api.slack.com/robots)",
        "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
        "Mozilla/5.0 (compatible; BarracudaCentral)",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/130.0.0.0 Safari/537.36",
        "facebookexternalhit/1.1",
        "Twitterbot/1.0",
    ],
)
def test_previews_and_scanners_that_say_so_do_not(agent: str) -> None:
    assert visit_of("GET", {"User-Agent": agent}) is Visit.ROBOT


def test_a_look_ahead_is_no_click() -> None:
    assert visit_of("HEAD", {"User-Agent": CHROME}) is Visit.HEAD
    for name, value in (("Sec-Purpose", "prefetch;prerender"), ("Purpose", "prefetch"), ("X-Purpose", "preview")):
        assert visit_of("GET", {"User-Agent": CHROME, name: value}) is Visit.PREFETCH


def test_a_phone_is_no_robot_for_its_name() -> None:
    assert visit_of("GET", {"User-Agent": CUBOT_PHONE}) is Visit.CLICK
