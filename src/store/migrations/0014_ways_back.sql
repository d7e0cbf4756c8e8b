-- What each version replaced: where going back leads to. A version of before this step replaced the one counted before it.
ALTER TABLE app_versions ADD COLUMN before INTEGER;
UPDATE app_versions SET before = (SELECT max(older.version) FROM app_versions older
                                  WHERE older.slug = app_versions.slug AND older.version < app_versions.version);
-- Apps whose data are being exchanged for those of another version, which the app has when that is done.
CREATE TABLE app_exchanges (
  slug       TEXT PRIMARY KEY,
  to_version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
