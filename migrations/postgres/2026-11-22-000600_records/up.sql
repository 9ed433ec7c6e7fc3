-- Resources that clients wrote: the head of each, and every version as the bytes that came.
-- `change` is the number of the feed by which a version came: what was written since is read by
-- it. `method`: 1 created, 2 updated, 3 deleted (then without a body).
CREATE TABLE record (
    number BIGINT NOT NULL PRIMARY KEY,
    type TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    version INTEGER NOT NULL,
    change BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    deleted BOOLEAN NOT NULL,
    UNIQUE (type, id)
);
CREATE INDEX record_change ON record (change);

CREATE TABLE record_version (
    record BIGINT NOT NULL,
    version INTEGER NOT NULL,
    type TEXT COLLATE "C" NOT NULL,
    change BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    method SMALLINT NOT NULL,
    author TEXT NOT NULL,
    body BYTEA,
    PRIMARY KEY (record, version)
);
CREATE INDEX record_version_change ON record_version (change);
CREATE INDEX record_version_type ON record_version (type, change);
INSERT INTO counter (name, value) VALUES ('record', 0);
