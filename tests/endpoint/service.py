"""A chat service on loopback that speaks OpenAI's protocol over HTTP and does what a test scripts."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "sk-test-Zq7secretsecret42"
Step = Callable[["Handler", dict], None]


class Server(ThreadingHTTPServer):
    """Answers well unless the next of `steps` says otherwise; `requests` are the bodies it was sent."""

    daemon_threads = True

    def __init__(self, steps: Sequence[Step]):
        super().__init__(("127.0.0.1", 0), Handler)
        self.steps, self.requests, self.times, self.keys = list(steps), [], [], []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    """POST /v1/chat/completions."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:  # noqa: N802, the library's name
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            self.server.requests.append(body)
            self.server.times.append(time.monotonic())
            self.server.keys.append(self.headers.get("authorization"))
            step = self.server.steps.pop(0) if self.server.steps else good
        assert self.path == "/v1/chat/completions"
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            step(self, body)

    def send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        headers = {"content_type": "application/json", "content_length": str(len(body))} | headers
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


def pair_for(body: dict) -> dict[str, str]:
    """Two texts that fit the request: the event by the first of its words, and both told apart by the elements."""
    said = dict(line.split(": ", 1) for line in body["messages"][1]["content"].splitlines() if ": " in line)
    words = next(value for name, value in said.items() if name.startswith("Words")).split(", ")
    shared = f"{said['Camera']} shows {said['Place']}"
    return {
        "anomalous": f"{shared}. {said['Subject']}: {words[0].rstrip('*')}. {said['Event']}.",
        "normal": f"{shared}. {said['Subject']} walks on in peace. Nothing else moves near {said['Place']}.",
    }


def completion(
    content: str | None, finish_reason: str = "stop", refusal: str | None = None, usage: bool = True
) -> bytes:
    """The body of a chat completion as the service documents it."""
    message = {"role": "assistant", "content": content, "refusal": refusal}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}],
    }
    if usage:
        body["usage"] = {"prompt_tokens": 200, "completion_tokens": 100, "total_tokens": 300}
    return json.dumps(body).encode()


def good(handler: Handler, body: dict) -> None:
    """A pair that fits."""
    handler.send(200, completion(json.dumps(pair_for(body))))


def says(content: str | None, **how) -> Step:
    """An answer with this content."""
    return lambda handler, body: handler.send(200, completion(content, **how))


def fails(status: int, message: str = "no", code: str | None = None, **headers: str) -> Step:
    """An error as the service words it."""
    error = json.dumps({"error": {"message": message, "type": "error", "param": None, "code": code}}).encode()
    return lambda handler, body: handler.send(status, error, **headers)


def raw(content: bytes) -> Step:
    """Status 200 and a body that may be anything."""
    return lambda handler, body: handler.send(200, content)


def hangs(seconds: float) -> Step:
    """Answers well, but later than anybody waits."""

    def step(handler: Handler, body: dict) -> None:
        time.sleep(seconds)
        good(handler, body)

    return step


def drops(handler: Handler, body: dict) -> None:
    """Closes the connection without a word."""
    handler.close_connection = True
    handler.connection.close()


def cut(handler: Handler, body: dict) -> None:
    """Promises more than it sends."""
    handler.send(200, b'{"choices": [', content_length="500")
    handler.close_connection = True


def stalls(seconds: float) -> Step:
    """Sends the beginning of an answer and then nothing for a while."""

    def step(handler: Handler, body: dict) -> None:
        cut(handler, body)
        time.sleep(seconds)

    return step


@contextlib.contextmanager
def running(*steps: Step) -> Iterator[Server]:
    """A server that runs while the block does."""
    server = Server(steps)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
