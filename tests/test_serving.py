"""How the app is served: the browser's files from memory, small messages at once."""

from __future__ import annotations

import ast
import asyncio
import importlib
import json
import re
import socket
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
import streamlit as st
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.state import SafeSessionState, SessionState

import app
import serving
from serving import asked, back, drawing, found, hosts, login, speed
from serving import whole as wholes

ROOT = Path(__file__).resolve().parent.parent
STATIC = Path(st.__file__).parent / "static"


async def _elsewhere(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})


def _get(path: str, method: str = "GET", times: int = 1) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def ask() -> None:
        files = speed.StaticFiles(_elsewhere)
        for _ in range(times):
            sent.clear()
            await files({"type": "http", "method": method, "path": path}, None, send)  # type: ignore[arg-type]

    asyncio.run(ask())
    return sent


def test_every_file_is_served_as_it_is() -> None:
    for path in [p for p in (STATIC / "static").rglob("*.*") if p.suffix in speed.TYPES][::20]:
        start, body = _get(f"/{path.relative_to(STATIC).as_posix()}", times=2)
        headers = dict(start["headers"])
        assert start["status"] == 200 and body["body"] == drawing.patched(back.patched(path.read_bytes()))
        assert int(headers[b"content-length"]) == len(body["body"])
        assert headers[b"content-type"].decode() == speed.TYPES[path.suffix]


def test_one_place_is_changed_so_that_back_is_one_page() -> None:
    """Of all scripts one, at one place; what is no such script stays."""
    scripts = {path.name: path.read_bytes() for path in (STATIC / "static" / "js").glob("*.js")}
    changed = [name for name, script in scripts.items() if back.patched(script) != script]
    assert len(changed) == 1 and changed[0].startswith("index.")
    script = scripts[changed[0]]
    served = back.patched(script)
    assert served.count(back.ADDS) == served.count(back.SHORTER) == 1
    assert served.replace(back.SHORTER, b"").replace(b"&&!" + back.ADDS, b"") == script
    assert back.patched(back.THEIRS * 2) == back.THEIRS * 2


ALLOWED = {"allowedOrigins": ["https://a.b", "</script>"], "useExternalAuthToken": False, "metricsUrl": ""}


def _page(path: str, method: str = "GET", allowed: Any = ALLOWED) -> tuple[dict[bytes, bytes], bytes]:
    """Headers and body of an answer to a browser that takes compressed ones, of a server that compresses."""
    sent: list[dict[str, Any]] = []

    async def streamlits(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].endswith("/host-config"):
            assert scope["path"] == path.rpartition("/")[0] + "/_stcore/host-config" and not scope["query_string"]
            assert (await receive())["body"] == b""
            body = json.dumps(allowed).encode()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body[:9], "more_body": True})
            await send({"type": "http.response.body", "body": body[9:]})
            return
        compressed = b"accept-encoding" in dict(scope["headers"])
        headers = [(b"content-type", b"text/html"), (b"content-length", b"24")]
        start = headers + [(b"content-encoding", b"gzip")] * compressed
        await send({"type": "http.response.start", "status": 200, "headers": start})
        await send({"type": "http.response.body", "body": b"<head></he", "more_body": True})
        await send({"type": "http.response.body", "body": b"ad>\nand more.."})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": [(b"accept-encoding", b"gzip")]}
    scope["query_string"] = b"study=a"
    asyncio.run(speed.StaticFiles(streamlits)(scope, None, send))  # type: ignore[arg-type]
    return dict(sent[0]["headers"]), b"".join(message.get("body", b"") for message in sent[1:])


def test_a_page_of_charts_names_what_it_needs_in_its_head() -> None:
    headers, body = _page("/compare")
    named = re.findall(rb'href="\./(static/js/[^"]+)"', body)
    assert body.startswith(b"<head><script>") and body.endswith(b"></head>\nand more..") and b"</script><link" in body
    assert int(headers[b"content-length"]) == len(body) and b"content-encoding" not in headers
    assert len(set(named)) == len(named) and all((STATIC / name.decode()).exists() for name in named)
    assert {b"ArrowVegaLiteChart", b"DataFrame", b"embed"} <= {name.split(b"/")[-1].split(b".")[0] for name in named}
    first = re.findall(r'href="\./(static/js/[^"]+)"', (STATIC / "index.html").read_text())
    assert not {name.encode() for name in first} & set(named)


def test_what_is_no_page_is_as_it_was() -> None:
    for request in (("/launch/x", "GET"), ("/launch/", "GET"), ("/media/a.html", "GET"), ("/compare", "HEAD")):
        headers, body = _page(*request)
        assert body == b"<head></head>\nand more.." and headers[b"content-encoding"] == b"gzip"


def _told(body: bytes) -> dict[str, Any] | None:
    """What a page says that the server allows."""
    start, end = b"<script>window.__streamlit={BACKEND_BASE_URL:new URL(`.`,location.href).href", b"}</script>"
    said = body.removeprefix(b"<head>" + start).partition(end)[0]
    assert body.startswith(b"<head>" + start) and body.count(b"</script>") == 1 and body.count(end) == 1
    return json.loads(said.removeprefix(b",HOST_CONFIG:")) if said else None  # type: ignore[no-any-return]


def test_a_page_says_where_its_server_is_and_what_it_allows(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    for path in ("/", "/launch", "/run"):
        assert _told(_page(path)[1]) == ALLOWED
    for other in ([], "x", {}, ALLOWED | {"allowedOrigins": []}, ALLOWED | {"useExternalAuthToken": "no"}):
        assert _told(_page("/launch", allowed=other)[1]) is None
    monkeypatch.setattr(login, "is_on", lambda: False)
    monkeypatch.setattr(found.config, "get_option", {"server.baseUrlPath": "/of a/lab/"}.get)
    asked_for = ("/of a/lab/", "/of a/lab/run", "/", "/run", "/of a/lab/x/y", "/of a/lab/_stcore/health")
    assert [path for path in asked_for if found.is_page(path)] == ["/of a/lab/", "/of a/lab/run"]
    assert _told(_page("/of a/lab/run")[1]) == ALLOWED
    monkeypatch.setattr(login, "is_on", lambda: True)  # its browsers look for the server first: that sets a cookie
    assert _told(_page("/of a/lab/run")[1]) is None


def test_streamlits_browser_half_reads_what_a_page_says() -> None:
    script = next((STATIC / "static" / "js").glob("index.*.js")).read_text("utf-8")
    assert all(name in script for name in ("window.__streamlit", ".BACKEND_BASE_URL", ".HOST_CONFIG", *found.NEEDED))


def test_what_pages_are_made_of_is_fetched_before_it_is_drawn() -> None:
    """Of all scripts the first one, at its end; every kind is known to this Streamlit."""
    scripts = {path.name: path.read_bytes() for path in (STATIC / "static" / "js").glob("*.js")}
    changed = {name: script for name, script in scripts.items() if drawing.patched(script) != script}
    charts, first = sorted(changed)
    assert charts.startswith("ArrowVegaLiteChart.") and first.startswith("index.")
    assert all(drawing.patched(changed[charts]).count(ours) == 1 for ours in drawing.CHARTS.values())
    served = drawing.patched(changed[first])
    assert served.startswith(changed[first])
    kinds = served.removeprefix(changed[first]).partition(b")?[")[2].partition(b"]")[0].split(b",")
    assert len(set(kinds)) == len(drawing.KINDS)
    for name, kind in zip(drawing.KINDS, kinds, strict=True):
        assert kind + b"=(0," in served and b"import(`./" + name + b"." in served
    assert drawing.patched(b"lazy") == b"lazy" and drawing.patched(drawing.INTERPRETED * 2) == drawing.INTERPRETED * 2


def test_all_else_is_left_to_streamlit() -> None:
    script = next((STATIC / "static" / "js").glob("index.*.js"))
    assert _get(f"/static/js/{script.name}")[0]["status"] == 200
    assert _get(f"/static/js/{script.name}", method="POST")[0]["status"] == 404
    for path in ("/", "/compare", "/index.html", "/static/js/../../index.html", "/static/js/nothing.js"):
        assert _get(path)[0]["status"] == 404


def _delays(lifespan: bool) -> bool:
    """Whether a connection to a server on a socket made like Streamlit's holds small packets back."""

    async def connect() -> bool:
        seen: asyncio.Queue[int] = asyncio.Queue()

        class Server(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                connection = transport.get_extra_info("socket")
                seen.put_nowait(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

        with socket.socket(family=socket.AF_INET) as listening:
            listening.bind(("127.0.0.1", 0))
            port = listening.getsockname()[1]
            server = await asyncio.get_running_loop().create_server(Server, sock=listening)
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            found = await seen.get()
            writer.close()
            server.close()
            return not found

    async def run() -> bool:
        if not lifespan:
            return await connect()
        async with speed.without_delay(app.app):
            return await connect()

    return asyncio.run(run())


def test_small_messages_are_sent_at_once() -> None:
    assert not _delays(lifespan=True)


def test_the_server_needs_to_be_told() -> None:
    """When this fails, asyncio no longer needs `speed.without_delay`."""
    assert _delays(lifespan=False)


def test_a_link_straight_to_a_page_of_a_fresh_server_runs_app_py(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(PagesManager, "uses_pages_directory", None)
    importlib.reload(app)
    assert PagesManager.uses_pages_directory is False, "or Streamlit would take `pages/` for the whole app"


# --- who may talk to the app ---

OWN = ["localhost", "localhost:8501", "127.0.0.1:8501", "[::1]:8501", "LOCALHOST:1", "127.1.2.3", "app.localhost"]
FOREIGN = [
    *("evil.example", "evil.example:8501", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.1.5:8501"),
    *("", None, "user@localhost", "localhost/evil", "localhost:port", "0x7f.1.evil", "notlocalhost", "[::1", "8.8.8.8"),
]


@pytest.fixture
def options(monkeypatch):  # type: ignore[no-untyped-def]
    """Options of the server for a test: the project's own unless changed."""
    chosen: dict[str, Any] = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))["server"]
    chosen = {f"server.{name}": value for name, value in chosen.items()}
    monkeypatch.setattr(hosts.config, "get_option", chosen.get)
    return chosen


@pytest.mark.parametrize("host", OWN)
def test_this_machine_is_served(options, host: str) -> None:  # type: ignore[no-untyped-def]
    assert hosts.refused(host, None) is None
    assert hosts.refused(host, f"http://{host}") is None


@pytest.mark.parametrize("host", FOREIGN)
def test_a_name_led_to_this_machine_is_refused(options, host: str | None) -> None:  # type: ignore[no-untyped-def]
    """DNS rebinding: Host and Origin agree, and both are the attacker's."""
    assert hosts.refused(host, f"http://{host}")
    assert hosts.refused(host, None)


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:3000", "https://8.8.8.8", "file://"]
)
def test_a_page_of_another_site_is_refused(options, origin: str) -> None:  # type: ignore[no-untyped-def]
    assert hosts.refused("localhost:8501", origin)


def test_the_app_listens_to_this_machine_alone_unless_told(options) -> None:  # type: ignore[no-untyped-def]
    assert options["server.address"] == "127.0.0.1" and not hosts.is_open()
    for address, opened in (("0.0.0.0", True), ("::", True), ("10.1.2.3", True), ("::1", False), (None, True)):
        options["server.address"] = address
        assert hosts.is_open() is opened


def test_opened_to_the_network_addresses_and_own_names_are_served(options) -> None:  # type: ignore[no-untyped-def]
    options["server.address"] = "0.0.0.0"
    for host in ("192.168.1.5:8501", f"{socket.gethostname()}:8501", "[fd00::1]:8501", "localhost"):
        assert hosts.refused(host, f"http://{host}") is None
    assert hosts.refused("evil.example", "http://evil.example")
    options["server.allowedHosts"] = ["studio.example.org", "*.lab.example.org"]
    for host in ("studio.example.org", "a.lab.example.org"):
        assert hosts.refused(host, f"https://{host}") is None
        assert hosts.refused("127.0.0.1:8501", f"https://{host}") is None, "a proxy in front"
    assert hosts.refused("lab.example.org.evil.example", None)


def _answer(kind: str, headers: dict[str, str], client: str = "127.0.0.1") -> list[dict[str, Any]]:
    """What a request of these headers gets; [] where it is passed on."""
    sent: list[dict[str, Any]] = []
    passed = []

    async def further(scope: Any, receive: Any, send: Any) -> None:
        passed.append(scope)

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": kind, "method": "PUT", "path": "/_stcore/upload_file", "headers": raw, "client": (client, 1)}
    asyncio.run(hosts.KnownHosts(further)(scope, receive, send))  # type: ignore[arg-type]
    assert bool(sent) != bool(passed)
    return sent


def test_refusals_reach_every_route(options) -> None:  # type: ignore[no-untyped-def]
    good, bad = {"host": "localhost:8501"}, {"host": "evil.example", "origin": "http://evil.example"}
    assert not _answer("http", good) and not _answer("websocket", good)
    start, body = _answer("http", bad)
    assert start["status"] == 403 and b"evil.example" in body["body"] and b"--server.allowedHosts" in body["body"]
    assert [m["type"] for m in _answer("websocket", bad)] == ["websocket.close"]


def test_font_weights_are_those_the_browser_takes() -> None:
    theme = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))["theme"]
    weights = [value for name, value in theme.items() if name.endswith(("FontWeight", "FontWeights"))]
    for weight in [w for value in weights for w in (value if isinstance(value, list) else [value])]:
        assert weight % 50 == 0 and 100 <= weight <= 900


def test_another_streamlit_is_left_as_it_is(monkeypatch, capsys):
    """What knows the insides of one version is not tried on another; who may reach the app is watched all the same."""
    assert speed.fits()
    assert [m.cls for m in serving.middleware()] == [
        hosts.KnownHosts,
        login.OwnersUploads,
        asked.AskedFor,
        speed.StaticFiles,
    ]
    monkeypatch.setattr(st, "__version__", "9.0.0")
    assert [m.cls for m in serving.middleware()] == [hosts.KnownHosts, login.OwnersUploads, asked.AskedFor]

    async def serve() -> bool:
        before = asyncio.get_running_loop().create_server
        async with serving.lifespan(None):  # type: ignore[arg-type]
            return asyncio.get_running_loop().create_server == before

    assert asyncio.run(serve())
    assert "Streamlit 9.0.0 is not 1.67.x" in capsys.readouterr().err


# --- without a login, and with one ---


def test_without_a_login_other_machines_are_refused(options, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(login, "is_on", lambda: False)
    for peer in ("192.168.1.7", "8.8.8.8", "fd00::7", None, "127.0.0.1.evil"):
        assert "no login" in (login.refused(peer, opened=True) or "")
        assert login.refused(peer, opened=False) is None, "a proxy on this machine tells whom it serves"
    for peer in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        assert login.refused(peer, opened=True) is None
    options["server.address"] = "0.0.0.0"
    assert _answer("http", {"host": "10.0.0.1:8501"}, client="10.0.0.9")[0]["status"] == 403
    monkeypatch.setenv("MDAF_OPEN_WITHOUT_LOGIN", "1")
    assert _answer("http", {"host": "10.0.0.1:8501"}, client="10.0.0.9") == []
    monkeypatch.delenv("MDAF_OPEN_WITHOUT_LOGIN")
    monkeypatch.setattr(login, "is_on", lambda: True)
    assert _answer("http", {"host": "10.0.0.1:8501"}, client="10.0.0.9") == []


def test_uploads_are_taken_from_owners_alone(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    users = {"one": "ada@lab.org", "two": "bob@lab.org"}
    named = {"auth": {"client_id": "x"}, "roles": {"owner": ["ada@lab.org"], "reader": ["bob@lab.org"]}}
    monkeypatch.setattr(login, "secrets", lambda section: named.get(section, {}))
    monkeypatch.setattr(login, "_claims", lambda session: {"is_logged_in": True, "email": users.get(session)})

    def put(path: str) -> int:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "PUT", "path": path}
        asyncio.run(login.OwnersUploads(_elsewhere)(scope, None, send))  # type: ignore[arg-type]
        return int(sent[0]["status"])

    passed = 404  # what `_elsewhere` answers
    assert put("/_stcore/upload_file/one/f") == passed
    assert put("/_stcore/upload_file/two/f") == put("/_stcore/upload_file/three/f") == 403
    assert put("/base/_stcore/upload_file/two/f") == 403 and put("/media/two/f") == passed


def _through(path: str, status: int, query: str = "", accept: str = "text/html", cookie: str = "") -> dict[str, str]:
    """The headers that a browser gets of an answer of this status, which leads to the first page."""
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"location", b"/")]})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"accept", accept.encode()), (b"cookie", cookie.encode())]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": headers}
    asyncio.run(asked.AskedFor(app)(scope, None, send))  # type: ignore[arg-type]
    return {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def test_a_link_is_opened_after_the_sign_in(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(login, "is_on", lambda: True)
    given = _through("/compare", 200, "study=a%20b&view=Cost")["set-cookie"]
    assert "HttpOnly" in given and "SameSite=Lax" in given
    back = _through("/oauth2callback", 302, "code=1", cookie=f"other=1; {given.partition(';')[0]}")
    assert back["location"] == "/compare?study=a%20b&view=Cost" and "Max-Age=0" in back["set-cookie"]
    assert _through("/oauth2callback", 302, "code=1", cookie="other=1")["location"] == "/"
    assert "Max-Age=0" in _through("/", 200)["set-cookie"]  # the first page itself: nothing to come back to
    assert _through("/compare", 304, "study=a")["set-cookie"].startswith(asked.COOKIE)  # the browser has the page
    for path in ("/static/js/a.js", "/_stcore/health", "/auth/login", "/media/a.csv"):
        assert "set-cookie" not in _through(path, 200)
    assert "set-cookie" not in _through("/compare", 200, "study=a", accept="*/*")
    for elsewhere in ("//evil.example", "/\\\\evil.example", "https://evil.example", "/a\r\nb", "compare"):
        cookie = f"{asked.COOKIE}={quote(elsewhere, safe='')}"
        assert _through("/oauth2callback", 302, "code=1", cookie=cookie)["location"] == "/"
    monkeypatch.setattr(login, "is_on", lambda: False)
    assert "set-cookie" not in _through("/compare", 200, "study=a")


def test_what_a_button_does_is_not_ended_by_the_next_one(monkeypatch):
    """The next one ends a run where it looks into the state of the session."""

    class Ended(BaseException):
        pass

    def next_one() -> None:
        raise Ended

    state = SafeSessionState(SessionState(), next_one)
    monkeypatch.setattr(wholes, "get_script_run_ctx", lambda **_: SimpleNamespace(session_state=state))
    done = []

    def tag_all(tags: list[str]) -> int:
        for tag in tags:
            state["tag"] = tag
            done.append(state["tag"])
        return len(done)

    with pytest.raises(Ended):
        tag_all(["a", "b"])
    assert not done
    assert wholes.whole(tag_all)(["a", "b"]) == 2 and done == ["a", "b"]
    with pytest.raises(KeyError), wholes.uninterrupted():
        state["missing"]
    with pytest.raises(Ended):
        state["tag"]
    monkeypatch.setattr(wholes, "get_script_run_ctx", lambda **_: None)
    assert wholes.whole(len)("outside a page") == 14


def test_every_button_that_changes_something_does_it_whole():
    """Callbacks of the other buttons: what they do stays in the form, or is one step."""
    others = {
        *("add", "add_preset", "take", "edit", "_dismiss", "_another", "_enter", "_take", "_undo", "reset"),
        *("st.login", "st.logout", "st.session_state.pop", "st.query_params.pop"),
    }
    for path in sorted((ROOT / "pages").glob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        decorated = {
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and any(ast.unparse(one) == "whole" for one in node.decorator_list)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) not in ("access.change_button", "change_button"):
                for keyword in node.keywords:
                    action = ast.unparse(keyword.value)
                    if keyword.arg == "on_click" and not isinstance(keyword.value, ast.Constant):
                        assert action in {"shared.act", *decorated, *others}, f"{path.name}: {action}"
