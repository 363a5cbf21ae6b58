UPDATE meta SET writer_epoch = writer_epoch + 1 WHERE one = 1
