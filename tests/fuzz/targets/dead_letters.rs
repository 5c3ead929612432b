#![no_main]

fuzz::target!(databridge_broker::fuzzing::dead_letters);
