DROP SCHEMA IF EXISTS sidestream_bench_floor CASCADE
