-- What a generation that is dropped knew of itself.
WITH places AS (DELETE FROM sidestream_view.places WHERE generation = $1),
    joins AS (DELETE FROM sidestream_view.joins WHERE generation = $1),
    audit AS (DELETE FROM sidestream_view.audit WHERE generation = $1)
DELETE FROM sidestream_view.parked WHERE generation = $1
