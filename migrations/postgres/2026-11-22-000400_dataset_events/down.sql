DROP TABLE dataset_event;
DELETE FROM counter WHERE name = 'dataset_event';
