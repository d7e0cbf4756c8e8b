-- What may be built on or told again, found by its words: documents with a type and tags, the newest of each key.
CREATE TABLE memory (
    id INTEGER PRIMARY KEY,
    source_type TEXT NOT NULL,
    key TEXT NOT NULL,
    title TEXT NOT NULL,
    tags TEXT NOT NULL,
    body TEXT NOT NULL,
    time INTEGER NOT NULL,
    UNIQUE (source_type, key)
) STRICT;
CREATE VIRTUAL TABLE memory_words USING fts5(
    title, body, content = 'memory', content_rowid = 'id', tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE TRIGGER memory_added AFTER INSERT ON memory BEGIN
    INSERT INTO memory_words(rowid, title, body) VALUES (new.id, new.title, new.body);
END;
CREATE TRIGGER memory_taken AFTER DELETE ON memory BEGIN
    INSERT INTO memory_words(memory_words, rowid, title, body) VALUES ('delete', old.id, old.title, old.body);
END;
CREATE TRIGGER memory_changed AFTER UPDATE ON memory BEGIN
    INSERT INTO memory_words(memory_words, rowid, title, body) VALUES ('delete', old.id, old.title, old.body);
    INSERT INTO memory_words(rowid, title, body) VALUES (new.id, new.title, new.body);
END;
