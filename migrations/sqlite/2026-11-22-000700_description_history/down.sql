DROP TABLE description_version;
DELETE FROM counter WHERE name = 'description_version';
