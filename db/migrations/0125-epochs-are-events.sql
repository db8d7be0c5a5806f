-- A new epoch is opened by an event: EpochOpened, in the stream `fleet`.

drop table epochs;
