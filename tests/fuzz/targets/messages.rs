#![no_main]

fuzz::target!(databridge_model::fuzzing::messages);
