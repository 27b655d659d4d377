"""People take turns at a site's pages, and who goes on after a refusal waits for the next without asking the site."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.conf import settings as django_settings
from django.core.asgi import get_asgi_application
from django.test import Client

from chat.web import fair_pages
from chat.web.fair_pages import OF_ADDRESS, OF_PERSON, SCOPE_KEY, FairPages, Gate

WAIT_S = 20.0


class Site:
    """An application whose pages are ready when the test says so. Whose they are, the session's name tells."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.received: list[str] = []
        self.ready = asyncio.Event()
        self.refused_for_s = 0.0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        event = {"more_body": True}
        while event.get("more_body"):
            event = await receive()
        self.received.append(event["type"])
        if event["type"] == "http.disconnect":
            return
        name = scope["path"]
        self.begun.append(name)
        person = name.strip("/").split("-")[0]
        if person in ("ana", "ben", "nobody"):
            asker = scope[SCOPE_KEY]
            asker.is_found_out, asker.refused_for_s = True, self.refused_for_s
            asker.person = None if person == "nobody" else person
        if name.endswith("!"):
            raise RuntimeError("broken")
        await self.ready.wait()
        await send({"type": "http.response.start", "status": 429 if self.refused_for_s else 200, "headers": []})
        await send({"type": "http.response.body", "body": b"page"})


Ask = Callable[..., Awaitable[ApplicationCommunicator]]


def request_for(
    path: str, *, session: str = "", address: str = "192.0.2.1", method: str = "GET", **headers: str
) -> Any:
    given = {**({"cookie": f"{django_settings.SESSION_COOKIE_NAME}={session}"} if session else {}), **headers}
    return {
        "type": "http",
        "path": path,
        "method": method,
        "client": (address, 1),
        "query_string": b"",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()],
    }


async def ask(pages: FairPages, path: str, **of: Any) -> ApplicationCommunicator:
    """Request a page, whole, and let the application run as far as it can."""
    asked = ApplicationCommunicator(pages, request_for(path, **of))
    await asked.send_input({"type": "http.request", "body": b"", "more_body": False})
    await settled()
    return asked


def gates_of(pages: FairPages) -> list[Gate]:
    return [pages._of_people, pages._of_addresses, pages._of_probes]


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def status_of(asked: ApplicationCommunicator) -> int:
    return int((await asked.receive_output(WAIT_S))["status"])


async def known(pages: FairPages, site: Site, *people: str) -> None:
    """Let each have a page, so that the session is known for theirs."""
    site.ready.set()
    for person in people:
        assert await status_of(await ask(pages, f"/{person}", session=person)) == 200
        await settled()
    site.ready.clear()
    site.begun.clear()


async def test_one_persons_requests_wait_for_each_other_and_not_others_for_them() -> None:
    site = Site()
    pages = FairPages(site)
    await known(pages, site, "ana", "ben")
    anas = [await ask(pages, f"/ana-{each}", session="ana") for each in range(OF_PERSON + 2)]
    bens = await ask(pages, "/ben-0", session="ben")
    assert site.begun == [*(f"/ana-{each}" for each in range(OF_PERSON)), "/ben-0"]
    site.ready.set()
    assert [await status_of(each) for each in [*anas, bens]] == [200] * (OF_PERSON + 3)
    assert site.begun[-2:] == [f"/ana-{OF_PERSON}", f"/ana-{OF_PERSON + 1}"]


async def test_sessions_that_nobody_is_signed_in_with_share_the_turns_of_their_address(settings: Any) -> None:
    site = Site()
    settings.CHAT = {**settings.CHAT, "TRUSTED_PROXIES": 1}
    pages = FairPages(site)
    far = {"address": "10.0.0.1"}
    kept = [
        await ask(pages, f"/x-{each}", session=f"made-up-{each}", x_forwarded_for=f"9.9.9.{each}, 192.0.2.7", **far)
        for each in range(OF_ADDRESS + 2)
    ]
    assert len(site.begun) == OF_ADDRESS
    kept.append(await ask(pages, "/elsewhere", x_forwarded_for="192.0.2.8", **far))
    assert site.begun[-1] == "/elsewhere"
    site.ready.set()
    assert [await status_of(each) for each in kept] == [200] * len(kept)


async def test_a_turn_begins_with_the_whole_request_and_ends_with_the_first_of_its_response() -> None:
    site = Site()
    pages = FairPages(site)
    await known(pages, site, "ana")
    slow = [ApplicationCommunicator(pages, request_for("/ana-slow", session="ana")) for _ in range(OF_PERSON)]
    for each in slow:
        await each.send_input({"type": "http.request", "body": b"a part", "more_body": True})
    quick = await ask(pages, "/ana-quick", session="ana")
    assert site.begun == ["/ana-quick"]
    site.ready.set()
    assert await status_of(quick) == 200
    for each in slow:
        await each.send_input({"type": "http.request", "body": b"the rest", "more_body": False})
        assert await status_of(each) == 200


async def test_a_turn_comes_back_from_who_leaves_while_waiting_or_under_way_and_from_a_page_that_breaks() -> None:
    site = Site()
    pages = FairPages(site)
    await known(pages, site, "ana")
    under_way = [await ask(pages, f"/ana-{each}", session="ana") for each in range(OF_PERSON)]
    waiting = await ask(pages, "/ana-waiting", session="ana")
    broken = await ask(pages, "/ana-broken!", session="ana")
    for each in [waiting, *under_way]:
        each.future.cancel()
        with suppress(asyncio.CancelledError):
            await each.future
    await settled()
    with pytest.raises(RuntimeError):
        await broken.wait(WAIT_S)
    site.ready.set()
    for each in range(3):
        assert await status_of(await ask(pages, f"/ana-after-{each}", session="ana")) == 200
    assert "/ana-waiting" not in site.begun
    assert all(not gate._began and not gate._turns for gate in gates_of(pages))


async def test_nothing_is_made_for_who_has_gone_while_waiting() -> None:
    site = Site()
    pages = FairPages(site)
    await known(pages, site, "ana")
    under_way = [await ask(pages, f"/ana-{each}", session="ana") for each in range(OF_PERSON)]
    gone = await ask(pages, "/ana-gone", session="ana")
    await gone.send_input({"type": "http.disconnect"})
    await gone.wait(WAIT_S)
    waiting = await ask(pages, "/ana-waiting", session="ana")
    site.ready.set()
    assert [await status_of(each) for each in [*under_way, waiting]] == [200] * (OF_PERSON + 1)
    assert site.received[-2:] == ["http.disconnect", "http.request"], "the page that waits is made, the other is not"
    assert all(not gate._began and not gate._turns for gate in gates_of(pages))


async def test_a_page_that_has_waited_still_learns_that_its_client_has_gone() -> None:
    told: list[str] = []
    ready, gone = asyncio.Event(), asyncio.Event()

    async def listening(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await ready.wait()
        if scope["path"] == "/late":
            told.append((await receive())["type"])
            gone.set()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    pages = FairPages(listening)
    kept = [await ask(pages, f"/{each}") for each in range(OF_ADDRESS)]
    late = await ask(pages, "/late")
    ready.set()
    assert [await status_of(each) for each in kept] == [200] * OF_ADDRESS
    await late.send_input({"type": "http.disconnect"})
    async with asyncio.timeout(WAIT_S):
        await gone.wait()
    assert told == ["http.disconnect"]


async def test_who_has_taken_much_rests_before_the_next_turn_and_others_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fair_pages, "AT_ONCE_S", 0.1)
    gate = Gate(of_one=1, at_once=1)
    loop = asyncio.get_running_loop()
    short, long = gate.enter("ana"), gate.enter("ana")
    gate.leave("ana", short)
    assert long.done(), "what takes little takes no rest"
    waiting, other = gate.enter("ana"), gate.enter("ben")
    await asyncio.sleep(0.13)
    ended_at = loop.time()
    gate.leave("ana", long)
    assert (waiting.done(), other.done()) == (False, True)
    gate.leave("ben", other)
    await asyncio.wait_for(waiting, WAIT_S)
    assert loop.time() - ended_at >= 0.09, "0.03 s are owed, at a third of the time"
    nobodys = gate.enter("ana")
    await asyncio.sleep(0.2)
    gate.leave("ana", waiting, counts=False)
    assert nobodys.done(), "what is not theirs does not count"


async def test_a_persons_request_does_not_count_for_their_address() -> None:
    counted: list[bool] = []
    site = Site()
    site.ready.set()
    pages = FairPages(site)
    for gate in gates_of(pages):
        leave = gate.leave

        def noted(key: Any, begins: Any, *, counts: bool, leave: Any = leave) -> None:
            counted.append(counts)
            leave(key, begins, counts=counts)

        gate.leave = noted  # type: ignore[method-assign]
    for path, session in (("/ana", "ana"), ("/ana", "ana"), ("/nobody", ""), ("/x", "made-up"), ("/static/x", "")):
        assert await status_of(await ask(pages, path, session=session)) == 200
        await settled()
    assert counted == [False, True, True, True, False]


@pytest.mark.parametrize("parts", [1, 4])
async def test_who_is_not_signed_in_may_send_little(parts: int) -> None:
    site = Site()
    site.ready.set()
    pages = FairPages(site, visitors_send=1_000)
    await known(pages, site, "ana")
    site.ready.set()
    told = []
    for session, size in (("", 1_000), ("", 1_004), ("ana", 1_004)):
        asked = ApplicationCommunicator(pages, request_for("/ana-form", session=session, method="POST"))
        for place in range(parts):
            part = {"body": b"x" * (size // parts), "more_body": place < parts - 1}
            await asked.send_input({"type": "http.request", **part})
        told.append(await status_of(asked))
        await asked.wait(WAIT_S)
    assert told == [200, 413, 200]


async def test_visitors_who_fill_all_their_turns_hold_up_nobody_who_is_signed_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = Site()
    pages = FairPages(site)
    await known(pages, site, "ana")
    crowd = [await ask(pages, f"/x-{each}", address=f"192.0.2.{each}") for each in range(fair_pages.ADDRESSES_AT_ONCE)]
    crowd.append(await ask(pages, "/x-waits", address="192.0.2.200"))
    anas = await ask(pages, "/ana-0", session="ana")
    assert (site.begun[-1], "/x-waits" in site.begun) == ("/ana-0", False)
    site.ready.set()
    assert [await status_of(each) for each in [*crowd, anas]] == [200] * (len(crowd) + 1)


def test_when_many_wait_those_are_refused_first_who_have_a_request_waiting_already(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fair_pages, "WAITING", 3)
    monkeypatch.setattr(fair_pages, "WAITING_AT_MOST", 4)

    async def fill() -> list[tuple[bool, bool]]:
        gate = Gate(of_one=1, at_once=1)
        kept = [gate.enter(key) for key in ("ana", "ana", "ben")]
        full = [(gate.is_full_for("ana"), gate.is_full_for("eve"))]
        for key in ("cleo", "dan"):
            kept.append(gate.enter(key))
            full.append((gate.is_full_for("ana"), gate.is_full_for("eve")))
        return full

    assert asyncio.run(fill()) == [(False, False), (True, False), (True, True)]


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::7", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1:80", "192.0.2.1:81", True),
        ("[2001:db8:1:2::1]:80", "2001:db8:1:2::5", True),
        ("no address", "no address", True),
    ],
)
async def test_one_network_of_ipv6_is_one_client(one: str, other: str, together: bool) -> None:
    site = Site()
    pages = FairPages(site)
    kept = [await ask(pages, f"/x-{each}", address=one) for each in range(OF_ADDRESS)]
    kept.append(await ask(pages, "/other", address=other))
    assert ("/other" not in site.begun) == together
    site.ready.set()
    assert [await status_of(each) for each in kept] == [200] * len(kept)


async def test_who_was_refused_is_refused_on_all_sessions_later_and_without_the_site_until_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(fair_pages.time, "monotonic", lambda: now[0])
    site = Site()
    pages = FairPages(site)
    await known(pages, site, "ana", "ben")
    site.ready.set()
    assert await status_of(await ask(pages, "/ana-second", session="ana2")) == 200
    site.refused_for_s = 3.5
    assert await status_of(await ask(pages, "/ana-much", session="ana")) == 429
    site.refused_for_s = 0
    await settled()
    site.begun.clear()
    monkeypatch.setattr(fair_pages.asyncio, "sleep", sleep)

    german = await asked_at_once(pages, "/ana-more", session="ana2", accept_language="de")
    start, body = german
    headers = dict(start["headers"])
    assert (start["status"], headers[b"retry-after"]) == (429, b"4")
    assert "schnell" in body["body"].decode()
    assert len(body["body"]) == int(headers[b"content-length"])
    assert slept == [fair_pages.REFUSED_AFTER_S]
    assert site.begun == []
    site.refused_for_s = 9.0
    await asked_at_once(pages, "/ana-acts", session="ana", method="POST")
    site.refused_for_s = 0
    assert (await asked_at_once(pages, "/static/x", session="ana", method="POST"))[0]["status"] == 429
    pages._refused_until.pop(("ana", "act"))

    assert (await asked_at_once(pages, "/ana-act", session="ana", method="POST"))[0]["status"] == 200, "counts apart"
    two_headers = request_for("/ana-hidden", session="ana")
    two_headers["headers"].append((b"cookie", b"x=y"))
    assert (await asked_at_once(pages, two_headers))[0]["status"] == 429
    assert (await asked_at_once(pages, "/static/site.css", session="ana"))[0]["status"] == 200
    assert (await asked_at_once(pages, "/ben-1", session="ben"))[0]["status"] == 200
    now[0] += 3.6
    assert (await asked_at_once(pages, "/ana-again", session="ana"))[0]["status"] == 200


async def asked_at_once(pages: FairPages, path: Any, **of: Any) -> list[Any]:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(event: Any) -> None:
        sent.append(event)

    await pages(request_for(path, **of) if isinstance(path, str) else path, receive, send)
    return sent


async def test_requests_beyond_the_bound_are_refused_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_pages, "WAITING_OF_ONE", 1)
    monkeypatch.setattr(fair_pages, "REFUSED_AFTER_S", 0.2)
    site = Site()
    pages = FairPages(site)
    await known(pages, site, "ana", "ben")
    kept = [await ask(pages, f"/ana-{each}", session="ana") for each in range(OF_PERSON + 1)]
    too_many = [await ask(pages, f"/ana-too-many-{each}", session="ana") for each in range(60)]
    assert not any(each.output_queue.qsize() for each in too_many), "none is answered at once, however many they are"
    assert {await status_of(each) for each in too_many} == {429}
    kept.append(await ask(pages, "/ben-0", session="ben"))
    assert site.begun[-1] == "/ben-0"
    site.ready.set()
    assert [await status_of(each) for each in kept] == [200] * len(kept)


async def test_a_session_that_has_ended_takes_no_turn_of_its_person() -> None:
    site = Site()
    pages = FairPages(site)
    await known(pages, site, "ana")
    site.ready.set()
    assert await status_of(await ask(pages, "/nobody", session="ana")) == 200
    await settled()
    site.ready.clear()
    copied = [await ask(pages, f"/x-{each}", session="ana") for each in range(OF_ADDRESS + 1)]
    assert len(site.begun) == OF_ADDRESS + 1, "they are a visitor's now"
    site.ready.set()
    assert [await status_of(each) for each in copied] == [200] * len(copied)


async def test_cookies_that_come_in_several_headers_reach_the_site_as_they_are_read_here() -> None:
    seen: list[Any] = []

    async def looking(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        seen.append([value for name, value in scope["headers"] if name == b"cookie"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    asked = request_for("/", session="real")
    asked["headers"] += [(b"cookie", b"sessionid=made-up; x=y"), (b"accept", b"text/html")]
    await asked_at_once(FairPages(looking), asked)
    assert seen == [[b"sessionid=real; sessionid=made-up; x=y"]]


async def test_cookies_that_take_python_long_to_read_are_not_read() -> None:
    site = Site()
    pages = FairPages(site)
    hostile = request_for("/", cookie='a="' + 4_000 * '\\"' + '"; sessionid=ana')
    began = time.thread_time()
    assert (await asked_at_once(pages, hostile))[0]["status"] == 400
    assert time.thread_time() - began < 0.02, "unquoting takes some tenths of a second"
    assert site.begun == []
    site.ready.set()
    assert (await asked_at_once(pages, request_for("/", cookie='messages="' + 400 * '\\"' + '"')))[0]["status"] == 200


async def test_what_a_client_says_of_the_script_name_does_not_make_a_page_a_probe() -> None:
    site = Site()
    pages = FairPages(site, at_once=["/healthz"])
    kept = [await ask(pages, f"/x-{each}") for each in range(OF_ADDRESS)]
    for path, root in (("/healthz", "/health"), ("/x/healthz", "")):
        kept.append(ApplicationCommunicator(pages, {**request_for(path), "root_path": root}))
        await kept[-1].send_input({"type": "http.request", "body": b"", "more_body": False})
        await settled()
    assert len(site.begun) == OF_ADDRESS
    kept.append(ApplicationCommunicator(pages, {**request_for("/chat/healthz"), "root_path": "/chat"}))
    await kept[-1].send_input({"type": "http.request", "body": b"", "more_body": False})
    await settled()
    assert site.begun[-1] == "/chat/healthz"
    site.ready.set()
    assert [await status_of(each) for each in kept] == [200] * len(kept)


async def test_files_that_are_none_are_refused_to_who_was_refused_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_pages, "REFUSED_AFTER_S", 0.0)
    asked: list[str] = []

    async def site(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        asked.append(scope["path"])
        asker = scope[SCOPE_KEY]
        asker.is_found_out, asker.person = "none" in scope["path"], "ana"  # files that are there are served before
        asker.refused_for_s = 60.0
        await send({"type": "http.response.start", "status": 429 if asker.is_found_out else 200, "headers": []})

    pages = FairPages(site)
    for path in ("/none", "/static/none", "/static/none-either", "/none"):
        assert (await asked_at_once(pages, path, session="ana"))[0]["status"] == 429
    assert asked == ["/none", "/static/none"]


async def test_probes_have_turns_of_their_own_and_sockets_take_none() -> None:
    site = Site()
    pages = FairPages(site, at_once=["/healthz"])
    kept = [await ask(pages, f"/x-{each}") for each in range(OF_ADDRESS + 1)]
    probes = [await ask(pages, "/healthz") for _ in range(OF_ADDRESS + 1)]
    assert site.begun[OF_ADDRESS:] == ["/healthz"] * OF_ADDRESS
    kept += probes
    site.ready.set()
    assert [await status_of(each) for each in kept] == [200] * len(kept)
    seen: list[str] = []

    async def other(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    await FairPages(other)({"type": "websocket", "path": "/ws/"}, None, None)
    assert seen == ["websocket"]


@pytest.mark.django_db(transaction=True)
async def test_a_real_site_tells_whose_request_it_was_and_is_not_asked_again_after_its_refusal(
    ana: Any, browser_of: Callable[[Any], Client], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fair_pages, "REFUSED_AFTER_S", 0.0)
    settings.CHAT = {**settings.CHAT, "PAGE_RATE": 0.001, "PAGE_BURST": 2}
    settings.ALLOWED_HOSTS = ["testserver"]
    asked: list[str] = []
    site = get_asgi_application()

    async def counted(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        await site(scope, receive, send)

    pages = FairPages(counted)
    browser = await sync_to_async(browser_of)(ana)
    session = browser.cookies[settings.SESSION_COOKIE_NAME].value
    told = []
    for _ in range(4):
        application = ApplicationCommunicator(pages, request_for("/people/", session=session, host="testserver"))
        await application.send_input({"type": "http.request", "body": b"", "more_body": False})
        told.append(await status_of(application))
        await application.wait(WAIT_S)
    assert told == [200, 200, 429, 429]
    assert len(asked) == 3
