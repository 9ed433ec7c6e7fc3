-- What stewards write on the pages: drafts, which nobody else sees, and texts that were accepted and
-- are on their way into the folder of descriptions. Times are microseconds since 1970-01-01T00:00:00Z.
CREATE TABLE draft (
    slug TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    base TEXT NOT NULL,
    text TEXT NOT NULL,
    who TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE TABLE description_write (
    number BIGINT NOT NULL PRIMARY KEY,
    slug TEXT NOT NULL,
    base TEXT NOT NULL,
    text TEXT NOT NULL,
    who TEXT NOT NULL,
    at BIGINT NOT NULL
);
INSERT INTO counter (name, value) VALUES ('draft', 0), ('description_write', 0);
