SELECT store_id, partitions FROM meta;
