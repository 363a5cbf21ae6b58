-- Which generation of the view's rows this file holds. One row.
CREATE TABLE sidestream_generation (
    number INTEGER PRIMARY KEY,
    -- It is not live yet.
    is_building INTEGER NOT NULL,
    -- The highest number that was given to a generation beside this one, and the one that is being built there.
    last INTEGER NOT NULL,
    building INTEGER,
    -- The generation that is live instead. In the first file it may be a later one.
    successor INTEGER
) STRICT;
