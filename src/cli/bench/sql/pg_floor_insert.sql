INSERT INTO sidestream_bench_floor.records (
    partition, version, recorded_at, number_1, number_2, checksum, kind, schema, is_effect, transaction, key, stream,
    type, codec, step, fingerprint, requester, payload)
SELECT * FROM unnest(
    $1::int4[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int4[], $7::int2[], $8::int4[], $9::bool[],
    $10::uuid[], $11::bytea[], $12::text[], $13::text[], $14::text[], $15::text[], $16::bytea[], $17::bytea[],
    $18::bytea[])
