-- An app has many builds (a new request may amend it), so `builds.slug` is no longer unique; builds are held under leases with a
-- fencing number. SQLite cannot drop a constraint, so both tables are made anew.
CREATE TABLE apps_before AS SELECT * FROM apps;
DROP TABLE apps;
CREATE TABLE builds_next (
  number          INTEGER PRIMARY KEY AUTOINCREMENT,
  id              TEXT NOT NULL UNIQUE,
  manifest_id     TEXT NOT NULL UNIQUE REFERENCES manifests(id),
  conversation_id TEXT NOT NULL,
  title           TEXT NOT NULL,
  slug            TEXT NOT NULL,
  stage           TEXT NOT NULL,
  attempt         INTEGER NOT NULL DEFAULT 0,
  begun           INTEGER,
  plan            TEXT,
  bundle_commit   TEXT,
  failure         TEXT,
  url             TEXT,
  requested       INTEGER NOT NULL,
  approved        INTEGER,
  live            INTEGER,
  updated         INTEGER NOT NULL,
  -- Counted up with every worker that takes the build; what an earlier one still writes is refused.
  fence           INTEGER NOT NULL DEFAULT 0,
  -- The worker that has it must be heard of by then; NULL: nobody has it.
  lease_until     INTEGER,
  -- Not to be tried before.
  not_before      INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO builds_next(number, id, manifest_id, conversation_id, title, slug, stage, attempt, begun, plan, bundle_commit,
                        failure, url, requested, approved, live, updated)
  SELECT number, id, manifest_id, conversation_id, title, slug, stage, attempt, begun, plan, bundle_commit,
         failure, url, requested, approved, live, updated FROM builds ORDER BY number;
DROP TABLE builds;
ALTER TABLE builds_next RENAME TO builds;
CREATE INDEX builds_open ON builds(number) WHERE stage NOT IN ('tracked', 'parked', 'failed');
CREATE INDEX builds_slug ON builds(slug);
CREATE TABLE apps (
  slug       TEXT PRIMARY KEY,
  title      TEXT NOT NULL,
  build_type TEXT NOT NULL,
  build_id   TEXT NOT NULL REFERENCES builds(id),
  version    INTEGER NOT NULL,
  revision   TEXT NOT NULL,
  bundle     TEXT NOT NULL,
  data       TEXT NOT NULL,
  port       INTEGER NOT NULL UNIQUE,
  url        TEXT NOT NULL,
  state      TEXT NOT NULL CHECK (state IN ('live', 'stopped')),
  deployed   INTEGER NOT NULL
) STRICT;
INSERT INTO apps SELECT slug, title, build_type, build_id, version, revision, bundle, data, port, url, state, deployed FROM apps_before;
DROP TABLE apps_before;
-- Every version of an app that ever went live.
CREATE TABLE app_versions (
  slug     TEXT NOT NULL,
  version  INTEGER NOT NULL,
  build_id TEXT NOT NULL,
  revision TEXT NOT NULL,
  deployed INTEGER NOT NULL,
  PRIMARY KEY (slug, version)
) STRICT, WITHOUT ROWID;
INSERT INTO app_versions SELECT slug, version, build_id, revision, deployed FROM apps;
