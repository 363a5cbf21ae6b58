DELETE FROM sidestream_places;
DELETE FROM sidestream_parked;
DELETE FROM sidestream_audit;
