DROP TABLE record_version;
DROP TABLE record;
DELETE FROM counter WHERE name = 'record';
