-- Generations of the rows: one is live, and another one may be built beside it. The tables of the first lie where the
-- users' search_path leads, those of each other one in a schema of its own, sidestream_view_2 and so on.
CREATE TABLE sidestream_view.generations (
    number int4 PRIMARY KEY,
    -- live, building, former: it was live, and its rows are kept; dropped: its rows are gone. A number is never given again.
    state text NOT NULL CHECK (state IN ('live', 'building', 'former', 'dropped'))
);
INSERT INTO sidestream_view.generations (number, state) VALUES (1, 'live');
CREATE UNIQUE INDEX one_live ON sidestream_view.generations (state) WHERE state = 'live';
CREATE UNIQUE INDEX one_building ON sidestream_view.generations (state) WHERE state = 'building';

ALTER TABLE sidestream_view.places ADD COLUMN generation int4 NOT NULL DEFAULT 1;
ALTER TABLE sidestream_view.places ALTER COLUMN generation DROP DEFAULT, DROP CONSTRAINT places_pkey,
    ADD PRIMARY KEY (generation, projection, version, partition);
ALTER TABLE sidestream_view.parked ADD COLUMN generation int4 NOT NULL DEFAULT 1;
ALTER TABLE sidestream_view.parked ALTER COLUMN generation DROP DEFAULT, DROP CONSTRAINT parked_pkey,
    ADD PRIMARY KEY (generation, projection, version, partition, cardinal);
ALTER TABLE sidestream_view.joins ADD COLUMN generation int4 NOT NULL DEFAULT 1;
ALTER TABLE sidestream_view.joins ALTER COLUMN generation DROP DEFAULT, DROP CONSTRAINT joins_pkey,
    ADD PRIMARY KEY (generation, projection, version, partition);
ALTER TABLE sidestream_view.audit ADD COLUMN generation int4 NOT NULL DEFAULT 1;
ALTER TABLE sidestream_view.audit ALTER COLUMN generation DROP DEFAULT;
DROP INDEX sidestream_view.audit_of_place;
CREATE INDEX audit_of_place ON sidestream_view.audit (generation, projection, version, partition, number);

-- Leads the rest of the transaction to the tables of a generation, of the live one where none is named; and says which it
-- is. Only that schema is searched: a table that was not made there is not found, and never taken from another generation.
CREATE FUNCTION sidestream_view.enter(in_number int4 DEFAULT NULL, OUT number int4, OUT state text)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    SELECT g.number, g.state INTO enter.number, enter.state FROM sidestream_view.generations AS g
    WHERE CASE WHEN in_number IS NULL THEN g.state = 'live' ELSE g.number = in_number END;
    IF enter.number > 1 THEN
        PERFORM set_config('search_path', 'sidestream_view_' || enter.number, true);
    END IF;
END $$;
