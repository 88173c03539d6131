-- Times: *_ms in milliseconds, time_ns in nanoseconds, since the Unix epoch.

CREATE TABLE host (
    id TEXT PRIMARY KEY,
    hostname TEXT NOT NULL,
    machine TEXT NOT NULL,
    certificate_sha256 BLOB NOT NULL,
    certificate_expires_ms INTEGER NOT NULL,
    enrolled_ms INTEGER NOT NULL,
    revoked_ms INTEGER,
    last_seen_ms INTEGER,
    -- gnomon.v1.Health as JSON.
    health TEXT,
    rejected_batches INTEGER NOT NULL DEFAULT 0,
    rejected_reason TEXT
);
CREATE UNIQUE INDEX host_machine ON host (machine) WHERE machine <> '';

-- One life of one spool. The highest seq less what is stored is what never arrived.
CREATE TABLE epoch (
    host TEXT NOT NULL,
    epoch TEXT NOT NULL,
    max_seq INTEGER NOT NULL,
    stored INTEGER NOT NULL,
    PRIMARY KEY (host, epoch)
) WITHOUT ROWID;

-- Narrow, as the dashboard scans it. The id counts up in the order of commits: it is the cursor of the API.
CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    host TEXT NOT NULL,
    epoch TEXT NOT NULL,
    seq INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    time_ns INTEGER NOT NULL,
    kind TEXT NOT NULL,
    server_host TEXT NOT NULL,
    server_address TEXT NOT NULL,
    method TEXT NOT NULL,
    tool TEXT NOT NULL,
    verdict TEXT NOT NULL,
    mode TEXT NOT NULL,
    rule TEXT NOT NULL,
    exe TEXT NOT NULL,
    user TEXT NOT NULL,
    findings INTEGER NOT NULL,
    note TEXT NOT NULL,
    UNIQUE (host, epoch, seq)
);
-- An index on one column ends in the id, so it serves "newest first" of that filter too.
CREATE INDEX event_received ON event (received_ms);
CREATE INDEX event_time ON event (time_ns, kind, verdict, mode, findings);
CREATE INDEX event_host ON event (host);
CREATE INDEX event_verdict ON event (verdict);
CREATE INDEX event_server ON event (server_host);
CREATE INDEX event_method ON event (method);

-- gnomon.v1.Event as JSON, away from the columns that are scanned.
CREATE TABLE event_body (
    event INTEGER PRIMARY KEY REFERENCES event (id),
    json TEXT NOT NULL
);

CREATE TABLE server (
    id INTEGER PRIMARY KEY,
    host TEXT NOT NULL,
    address TEXT NOT NULL,
    tls INTEGER NOT NULL,
    sanctioned_as TEXT NOT NULL,
    first_seen_ms INTEGER NOT NULL,
    last_seen_ms INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    denied INTEGER NOT NULL,
    UNIQUE (host, address)
);
CREATE TABLE server_user (
    server INTEGER NOT NULL REFERENCES server (id),
    host TEXT NOT NULL,
    exe TEXT NOT NULL,
    PRIMARY KEY (server, host, exe)
) WITHOUT ROWID;

-- Enrolment tokens, admin links, sessions, API tokens: hashes only.
CREATE TABLE secret (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    hash BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    used_ms INTEGER
);

CREATE TABLE counter (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
