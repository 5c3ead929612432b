#![no_main]

fuzz::target!(databridge_config::fuzzing::schedules);
