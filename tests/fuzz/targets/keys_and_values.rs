#![no_main]

fuzz::target!(databridge_model::fuzzing::keys_and_values);
