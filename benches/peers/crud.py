"""The CRUD of a list of contacts on Python's standard library alone: what one would write in an hour and know to tune."""
import json, re, sqlite3, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

LOCAL = threading.local()
WRITING = threading.Lock()


def database():
    if not hasattr(LOCAL, "db"):
        LOCAL.db = sqlite3.connect(sys.argv[2], isolation_level=None)
        LOCAL.db.row_factory = sqlite3.Row
        LOCAL.db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
    return LOCAL.db


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Without these two a small answer waits 40 ms for an acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def do_GET(self):
        url = urlsplit(self.path)
        one = re.fullmatch(r"/api/contacts/(\d+)", url.path)
        if one:
            row = database().execute("SELECT * FROM contacts WHERE id = ?", (one[1],)).fetchone()
            return self.answer(200, dict(row)) if row else self.answer(404, {"error": "not found"})
        if url.path != "/api/contacts":
            return self.answer(404, {"error": "not found"})
        limit = min(int(parse_qs(url.query).get("limit", ["50"])[0]), 200)
        rows = database().execute("SELECT * FROM contacts ORDER BY name, id LIMIT ?", (limit,)).fetchall()
        self.answer(200, {"items": [dict(row) for row in rows]})

    def do_POST(self):
        value = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/api/contacts" or not value.get("name"):
            return self.answer(422, {"error": "a contact has a name"})
        row = (value["name"], value.get("company", ""), value.get("email", ""), value.get("phone", ""))
        with WRITING:
            sql = "INSERT INTO contacts (name, company, email, phone) VALUES (?, ?, ?, ?)"
            made = database().execute(sql, row).lastrowid
        self.answer(201, {"id": made, "name": row[0], "company": row[1], "email": row[2], "phone": row[3]})


database().execute("""CREATE TABLE IF NOT EXISTS contacts (id INTEGER PRIMARY KEY, name TEXT NOT NULL, company TEXT, email TEXT,
    phone TEXT, created_at TEXT DEFAULT (datetime('now')))""")
database().execute("CREATE INDEX IF NOT EXISTS by_name ON contacts (name, id)")
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
