DROP INDEX change_kind;
DROP TABLE dataset;
DELETE FROM counter WHERE name = 'dataset';
